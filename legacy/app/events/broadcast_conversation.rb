# frozen_string_literal: true

# Shows a conversation that has changed to everyone who has it open.
module BroadcastConversation
  def self.call(conversation)
    event = { event: "conversation.updated", data: ConversationSerializer.new(conversation) }
    ActionCable.server.broadcast(ConversationChannel.stream_name(conversation.id), event)
  end
end
