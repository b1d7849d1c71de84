# frozen_string_literal: true

module Cache
  # What this process knows of Redis. One that has failed is left alone for a second, and its entries are not believed
  # until all is forgotten that it could not be told.
  class Link
    PAUSE = 1 # second
    BATCH = 1000

    # Redis has not answered.
    class Away < StandardError; end

    FAILURES = [Redis::BaseError, SystemCallError, ConnectionPool::TimeoutError].freeze

    def initialize
      @looking = Mutex.new
      @away_until = @looked_until = 0.0
      @passed_over = 0
    end

    # What Redis answers to a step; Away if it does not.
    def ask
      raise Away if now < @away_until

      yield
    rescue *FAILURES => e
      @away_until = now + PAUSE
      @looked_until = 0.0
      Rails.logger.warn("event=cache_away #{e.class}: #{e.message}")
      raise Away
    end

    # One more read that the database answered because Redis was away.
    def pass_over
      @passed_over += 1
      nil
    end

    # Raises Away unless entries may be believed.
    def check
      return if now < @looked_until

      @looking.synchronize { look if now >= @looked_until }
    end

    private

    def look
      raise Away if now < @away_until

      looked = now
      rows = KeyToForget.order(:id).limit(BATCH).pluck(:id, :key)
      forget(rows) if rows.any?
      raise Away if rows.size == BATCH # there may be more, for whoever comes next

      @looked_until = looked + Rails.configuration.x.cache.look
      return if @passed_over.zero?

      Rails.logger.info("event=cache_back passed_over=#{@passed_over}")
      @passed_over = 0
    end

    def forget(rows)
      ask { Leases.new(CACHE).forget(rows.map(&:last).uniq, "") }
      KeyToForget.where(id: rows.map(&:first)).delete_all
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
