# frozen_string_literal: true

module Messages
  # An agent's message in a conversation: one transaction, then its effects.
  class Create
    def self.call(**arguments)
      new(**arguments).call
    end

    def initialize(user:, conversation:, content:)
      @user = user
      @conversation = conversation
      @content = content
    end

    def call
      message = Message.transaction { store }
      DomainEvents.publish("message.created", message)
      message
    end

    private

    def store
      @conversation.lock! # of two messages at once, the second sees the first one's time
      message = @conversation.messages.create!(
        account_id: @conversation.account_id,
        inbox_id: @conversation.inbox_id,
        user: @user,
        direction: "outgoing",
        content: @content
      )
      @conversation.touch(:last_activity_at, time: [@conversation.last_activity_at, message.created_at].max)
      message
    end
  end
end
