# frozen_string_literal: true

# Shows a message to everyone who has its conversation open.
module BroadcastMessage
  def self.call(message, event: "message.created")
    ActionCable.server.broadcast(
      ConversationChannel.stream_name(message.conversation_id), { event: event, data: MessageSerializer.new(message) }
    )
  end
end
