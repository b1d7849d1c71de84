# frozen_string_literal: true

module Cache
  # What a transaction makes untrue: told to the cache right before its COMMIT, and right after it. ActiveRecord takes
  # it for one of the transaction's records.
  class Forgetting
    # The marks expire after a minute. PostgreSQL is to end the transaction sooner: if its COMMIT does not come, or does
    # not come to an end.
    BOUNDS = "SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL statement_timeout = '5s'"

    class << self
      # Adds keys to what the transaction at hand will make untrue.
      def add(*keys)
        connection = ActiveRecord::Base.connection
        transaction = connection.current_transaction
        forgetting = transaction.records&.grep(self)&.first
        unless forgetting
          forgetting = new(connection)
          connection.add_transaction_record(forgetting)
        end
        forgetting.add(keys)
      end
    end

    def initialize(connection)
      @connection = connection
      @keys = Set.new
    end

    def add(keys)
      @keys.merge(keys)
    end

    def before_committed!
      @connection.execute(BOUNDS)
      @marks = Cache.mark(@keys.to_a)
    end

    def committed!(*)
      Cache.forget(@marks)
    rescue StandardError => e
      Rails.logger.error({ event: "cache_keys_lost", keys: @keys.to_a, error: "#{e.class}: #{e.message}" })
    end

    # A COMMIT whose answer was lost counts as rolled back here, too, and may still come true: no mark is lifted.
    def rolledback!(*); end

    def add_to_transaction(*)
      @connection.add_transaction_record(self)
    end

    def trigger_transactional_callbacks?
      true
    end
  end
end
