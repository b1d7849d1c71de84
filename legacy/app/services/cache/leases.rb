# frozen_string_literal: true

module Cache
  # Each step is one round trip, and does no harm if it is done again, or late.
  class Leases
    WRITER = "legacy"

    # What to do with an entry, and with what: see Scripts::READ.
    Found = Struct.new(:verdict, :content) do
      def token
        content.partition(" ").first
      end
    end

    def self.token
      SecureRandom.hex(8)
    end

    def initialize(redis)
      @redis = redis
    end

    def read(entry, account_id, token)
      Found.new(*run(Scripts::READ, entry.keys, account_id, WRITER, token))
    end

    # False if the lease is no longer good.
    def fill(entry, account_id, lease, answer)
      run(Scripts::FILL, entry.keys, lease, WRITER, account_id, entry.lifetime.to_i, answer) == 1
    end

    def give_back(entry, token)
      run(Scripts::GIVE_BACK, entry.keys.first(1), token)
    end

    def mark(keys, token)
      run(Scripts::MARK, keys, token)
    end

    def forget(keys, token)
      run(Scripts::FORGET, keys, token)
    end

    private

    def run(script, keys, *arguments)
      @redis.with { |redis| redis.eval(script, keys: keys, argv: arguments) }
    end
  end
end
