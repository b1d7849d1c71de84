# frozen_string_literal: true

class ConversationChanges < ChangeRequest
  fields :status, :assignee_id

  validates :status, choice: { in: Conversation::STATUSES }, if: -> { given?(:status) }
  validates :assignee_id, integer: true, allow_nil: true
end
