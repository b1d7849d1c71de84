# frozen_string_literal: true

class ConversationsRequest < PageRequest
  fields :status, :limit, :cursor

  self.cursor_class = ActivityCursor

  validates :status, choice: { in: Conversation::STATUSES }, allow_nil: true
  validate :limit_is_in_range, :cursor_is_readable
end
