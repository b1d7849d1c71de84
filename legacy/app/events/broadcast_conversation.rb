# frozen_string_literal: true

# Shows a conversation that has changed to everyone who has it open.
module BroadcastConversation
  def self.call(conversation)
    event = { event: "conversation.updated", data: ConversationSerializer.new(conversation) }
    Broadcast.call(ConversationChannel.stream_name(conversation.id), event)
  end
end
