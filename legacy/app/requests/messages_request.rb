# frozen_string_literal: true

class MessagesRequest < PageRequest
  fields :limit, :cursor

  self.cursor_class = IdCursor

  validate :limit_is_in_range, :cursor_is_readable
end
