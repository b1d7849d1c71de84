# frozen_string_literal: true

# What happens in one conversation, for those users of its account who have it open.
class ConversationChannel < ApplicationCable::Channel
  def self.stream_name(conversation_id)
    "conversation:#{conversation_id}"
  end

  def subscribed
    @conversation_id = RowId.parse(params[:id])
    if @conversation_id && Conversation.exists?(id: @conversation_id, account_id: current_user.account_id)
      stream_from(self.class.stream_name(@conversation_id), coder: ActiveSupport::JSON) do |event|
        transmit(event) unless own_typing?(event)
      end
    else
      reject
    end
  end

  def typing_on
    event = { event: "typing_on", data: { conversationId: @conversation_id, userId: current_user.id } }
    ActionCable.server.broadcast(self.class.stream_name(@conversation_id), event)
  end

  private

  # Nobody needs to be told that they are typing.
  def own_typing?(event)
    event["event"] == "typing_on" && event.dig("data", "userId") == current_user.id
  end
end
