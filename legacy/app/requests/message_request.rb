# frozen_string_literal: true

class MessageRequest < ApplicationRequest
  fields :content, :conversation_id

  validates :content, text: { white_space: false, maximum: 10_000 }
  validates :conversation_id, integer: true
end
