# frozen_string_literal: true

class MessageSerializer
  def initialize(message)
    @message = message
  end

  def as_json(options = nil)
    {
      id: @message.id,
      conversationId: @message.conversation_id,
      sender: { type: @message.sender_type, id: @message.sender.id, name: @message.sender.name },
      direction: @message.direction,
      content: @message.content,
      status: @message.status,
      createdAt: @message.created_at,
      updatedAt: @message.updated_at
    }.as_json(options)
  end
end
