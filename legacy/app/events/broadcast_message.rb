# frozen_string_literal: true

# Shows a message to everyone who has its conversation open.
module BroadcastMessage
  def self.call(message, event: "message.created")
    told = { event: event, data: MessageSerializer.new(message) }
    Broadcast.call(ConversationChannel.stream_name(message.conversation_id), told)
  end
end
