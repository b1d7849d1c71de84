# frozen_string_literal: true

module Shadow
  # Of Redis, by which shadows read.
  module User
    # A command of each kind, none of which would do anything: nobody has the key, and nobody listens to the channel.
    # Native tries the same: handlers/proofs.py.
    TRIED = [
      %w[DEL %s],
      %w[EXPIRE %s 1],
      %w[SET %s 1 XX],
      %w[HDEL %s 1],
      %w[LPUSHX %s 1],
      %w[SREM %s 1],
      %w[ZREM %s 1],
      %w[XDEL %s 1],
      %w[PUBLISH %s 1],
      %w[CONFIG GET %s]
    ].freeze

    # It may not run the command, be it on other keys or channels, or nobody may.
    REFUSALS = /NOPERM.*to run the|unknown command/

    class << self
      # With a new connection, in vain.
      def prove(redis)
        key = "shadow:#{SecureRandom.hex(8)}"
        may = TRIED.reject { |words| refused?(redis, words.map { |word| format(word, key) }) }.map(&:first)
        raise Refused, "the user of SHADOW_REDIS_URL may #{may.join(', ')}" if may.any?
      end

      private

      def refused?(redis, words)
        redis.call(*words)
        false
      rescue Redis::CommandError => e
        e.message.match?(REFUSALS)
      end
    end
  end
end
