# frozen_string_literal: true

# Leaves users their threads, however long shadows take: whoever asked one gives it up after a while, and its thread goes
# on. So they have half of this process' threads, or SHADOW_CONCURRENCY.
class ShadowPlaces
  FULL = "legacy.shadow.full"

  # Seconds since one was let go, or the last one taken, in which others wait for a place. Where shadows come and go that
  # is soon enough; where they hang it would only cost users more.
  PATIENCE = 1.0

  def initialize(app, places: nil, patience: PATIENCE)
    half = ENV.fetch("RAILS_MAX_THREADS", 5).to_i / 2
    @app = app
    @free = (places || ENV["SHADOW_CONCURRENCY"].presence || [half, 1].max).to_i
    @patience = patience
    @lock = Mutex.new
    @let_go = ConditionVariable.new
    @moved = now
  end

  def call(env)
    return @app.call(env) unless env.key?(Shadows::MARK)

    taken = take
    env[FULL] = true unless taken
    @app.call(env)
  ensure
    leave if taken
  end

  private

  def take
    @lock.synchronize do
      while @free.zero? && (left = @moved + @patience - now).positive?
        @let_go.wait(@lock, left)
      end
      next false unless @free.positive?

      @free -= 1
      @moved = now
      true
    end
  end

  def leave
    @lock.synchronize do
      @free += 1
      @moved = now
      @let_go.signal
    end
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
