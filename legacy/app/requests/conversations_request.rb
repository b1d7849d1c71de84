# frozen_string_literal: true

class ConversationsRequest < PageRequest
  fields :status, :limit, :cursor

  self.cursor_class = ActivityCursor

  validate :status_is_known, :limit_is_in_range, :cursor_is_readable

  private

  # Rails' own inclusion would let `status[]=open` pass.
  def status_is_known
    errors.add(:status, :inclusion) unless status.nil? || Conversation::STATUSES.include?(status)
  end
end
