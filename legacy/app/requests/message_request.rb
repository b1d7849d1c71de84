# frozen_string_literal: true

class MessageRequest < ApplicationRequest
  fields :content, :conversation_id

  validates :content, text: { white_space: false, maximum: Message::LONGEST_CONTENT }
  validates :conversation_id, integer: true
end
