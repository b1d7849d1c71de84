# frozen_string_literal: true

# Shows a new message to everyone who has the conversation open.
module BroadcastMessage
  def self.call(message)
    event = { event: "message.created", data: MessageSerializer.new(message) }
    ActionCable.server.broadcast(ConversationChannel.stream_name(message.conversation_id), event)
  end
end
