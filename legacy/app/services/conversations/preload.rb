# frozen_string_literal: true

module Conversations
  # Loads what the list shows of some conversations in a fixed number of queries instead of several a row.
  class Preload
    ASSOCIATIONS = %i[inbox contact assignee].freeze
    SENDERS = %i[user contact].freeze

    def self.call(conversations)
      ActiveRecord::Associations::Preloader.new.preload(conversations, ASSOCIATIONS)
      messages = Message.where(conversation: conversations)
      counts = messages.group(:conversation_id).count
      last = Message.where(id: messages.group(:conversation_id).select("max(id)")).includes(SENDERS)
                    .index_by(&:conversation_id)
      conversations.each do |conversation|
        conversation.summarize(message_count: counts.fetch(conversation.id, 0), last_message: last[conversation.id])
      end
    end
  end
end
