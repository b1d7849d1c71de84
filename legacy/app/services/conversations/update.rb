# frozen_string_literal: true

module Conversations
  # Changes a conversation's status or who answers it, who must be a user of the same account.
  class Update
    def self.call(...)
      new(...).call
    end

    def initialize(conversation, changes)
      @conversation = conversation
      @changes = changes
    end

    def call
      raise ApiError::InvalidRequest, [["assigneeId", "must exist"]] unless assignable?

      @conversation.with_lock("FOR NO KEY UPDATE") { @conversation.update!(@changes) }
    end

    private

    def assignable?
      id = @changes[:assignee_id]
      id.nil? || @conversation.account.users.exists?(id: RowId.parse(id))
    end
  end
end
