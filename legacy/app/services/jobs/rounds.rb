# frozen_string_literal: true

module Jobs
  # What a worker process does now and then, in a thread of its own, until it stops. A round that fails is logged, the
  # first in a row, and there will be another.
  class Rounds
    # pause: seconds between two rounds
    def initialize(name, pause:, &round)
      @name = name
      @pause = pause
      @round = round
      @over = Concurrent::Event.new
    end

    def start
      @thread = Thread.new do
        Thread.current.name = @name
        make_one until @over.wait(@pause)
      end
    end

    def stop
      @over.set
      @thread.join(1)
    end

    private

    def make_one
      Rails.application.executor.wrap(&@round) # which gives its database connection back
      @failing = false
    rescue StandardError => e
      Rails.logger.error({ event: "round_failed", round: @name, exception: ErrorTrace.of(e) }) unless @failing
      @failing = true
    end
  end
end
