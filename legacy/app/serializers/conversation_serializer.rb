# frozen_string_literal: true

class ConversationSerializer
  def initialize(conversation)
    @conversation = conversation
  end

  def as_json(options = nil)
    {
      id: @conversation.id,
      status: @conversation.status,
      inbox: @conversation.inbox.slice(:id, :name, :channel),
      contact: @conversation.contact.slice(:id, :name),
      assignee: @conversation.assignee&.slice(:id, :name),
      messageCount: @conversation.message_count,
      lastMessage: @conversation.last_message && MessageSerializer.new(@conversation.last_message),
      lastActivityAt: @conversation.last_activity_at,
      createdAt: @conversation.created_at,
      updatedAt: @conversation.updated_at
    }.as_json(options)
  end
end
