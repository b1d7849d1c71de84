# frozen_string_literal: true

module Cache
  # What this process knows of Redis: whether a step of the cache is worth asking for, or something worth telling.
  #
  # A reader gives up after some milliseconds, because the database answers as well: that keeps the next readers from
  # waiting, but no writer from being heard. A writer waits longer. If not even it is answered, no reader would be, nor
  # what it would tell others after its commit. But a Redis that refuses what is written may well pass on what is told.
  class Link
    PAUSE = 1 # second, in which a Redis that has failed is left alone
    # Whose steps are left out after one has failed.
    PAUSES = { read: %i[read], write: %i[read write], tell: %i[read write tell] }.freeze

    # Redis has not answered.
    class Away < StandardError; end

    FAILURES = [Redis::BaseError, SystemCallError, ConnectionPool::TimeoutError].freeze
    # Those that took their time.
    SILENCE = [Redis::TimeoutError, Redis::CannotConnectError, ConnectionPool::TimeoutError].freeze

    # When a step was last not answered.
    attr_reader :failed_at

    def initialize
      @paused_until = { read: 0.0, write: 0.0, tell: 0.0 }
      @failed_at = 0.0
    end

    def pauses_reads?
      Cache.now < @paused_until[:read]
    end

    def read(&step)
      ask(:read, &step)
    end

    def write(&step)
      ask(:write) { twice(&step) }
    end

    # What follows a commit, once: what was not answered may have been carried out. That it was refused, or that its
    # connection had been lost, says nothing of the cache.
    def tell(&step)
      ask(:tell, SILENCE, &step)
    end

    private

    # What Redis answers to a step; Away if it does not.
    def ask(kind, failures = FAILURES)
      raise Away, "Redis is left alone" if Cache.now < @paused_until[kind]

      yield
    rescue *failures => e
      @failed_at = Cache.now
      kind = :tell if kind == :write && SILENCE.any? { |silence| e.is_a?(silence) }
      PAUSES[kind].each { |other| @paused_until[other] = @failed_at + PAUSE }
      Rails.logger.warn({ event: "cache_away", error: "#{e.class}: #{e.message}" })
      raise Away
    end

    # A connection that was lost in the meantime is replaced. No step of the cache does harm if it is done again.
    def twice
      yield
    rescue Redis::ConnectionError, SystemCallError
      yield
    end
  end
end
