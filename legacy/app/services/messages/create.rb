# frozen_string_literal: true

module Messages
  # An agent's message in a conversation, which is open again with it: one transaction. What follows the message is told
  # by the model, after the commit.
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
      Message.transaction { store }
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
      latest = [@conversation.last_activity_at, message.created_at].max
      # `update!` would put its own time in the place of an `updated_at` that stays what it is.
      @conversation.update_columns(status: "open", last_activity_at: latest, updated_at: latest)
      message
    end
  end
end
