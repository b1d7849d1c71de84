# frozen_string_literal: true

# Drops what the cache knows of a conversation that has changed.
module ForgetCachedConversation
  def self.call(message)
    key = "conversation:#{message.conversation_id}"
    REDIS.with { |redis| redis.del(key, "#{key}:messages") }
  end
end
