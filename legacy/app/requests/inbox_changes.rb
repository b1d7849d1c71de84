# frozen_string_literal: true

class InboxChanges < ChangeRequest
  fields :name, :status

  validates :name, text: { white_space: false, maximum: Inbox::LONGEST_NAME }, if: -> { given?(:name) }
  validates :status, choice: { in: Inbox::STATUSES }, if: -> { given?(:status) }
end
