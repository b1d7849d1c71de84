# frozen_string_literal: true

module Jobs
  # How a worker process takes jobs: each moves to a list of the process' own, and leaves that when it is done. Sidekiq
  # itself takes jobs out of Redis, and who is killed loses what it had in hand.
  #
  # `working` tells when each process was last seen. The list of one that has been silent for half a minute goes back to
  # the queue, to the end that is taken from next. A process that was merely cut off may then do a job that somebody
  # else does, too: as with every delivery, jobs must not mind. It is known for a day, since it may come back, take
  # another job and die before it is seen.
  class Fetch
    REGISTER = "working"
    RESUMED = "working:resumed"
    DEATHS = "working:deaths:"
    SILENCE = 30 # seconds, after which a process is taken for dead
    PAUSE = 1 # second between two looks
    WAIT = 2 # seconds for a job, before it is asked whether the process is to stop
    FATAL = 3 # deaths with one job within three days: it may be what kills
    MEMORY = 3 * 24 * 3600 # seconds

    # KEYS: the register, the process' own list, what is there while everybody has time to be seen again. ARGV: seconds
    # of silence, the prefix of the deaths' keys, the fatal number of deaths, seconds for which deaths count.
    #
    # If nobody was seen for half of that silence Redis was away, or nobody was there: who is silent now may be as alive
    # as the process that looks first.
    BE_SEEN = <<~LUA
      local now, silence = tonumber(redis.call("TIME")[1]), tonumber(ARGV[1])
      local newest = redis.call("ZRANGE", KEYS[1], -1, -1, "WITHSCORES")[2]
      if newest and now - newest > silence / 2 then
        redis.call("SET", KEYS[3], now, "EX", silence)
      end
      redis.call("ZADD", KEYS[1], now, KEYS[2])
    LUA

    # A job with as many deaths as are fatal comes into the process' own hands, to be buried; those are returned. A job
    # is moved by one command, whatever Redis refuses.
    LOOK = (BE_SEEN + <<~LUA).freeze
      local fatal = {}
      if redis.call("EXISTS", KEYS[3]) == 1 then
        return fatal
      end
      for _, list in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now - silence)) do
        local queue = string.match(list, "^working:(.+):[^:]+:%d+:%x+$")
        local job = redis.call("LINDEX", list, -1)
        while job do
          local deaths = ARGV[2] .. redis.sha1hex(job)
          local died = redis.call("INCR", deaths)
          redis.call("EXPIRE", deaths, ARGV[4])
          if died < tonumber(ARGV[3]) then
            redis.call("LMOVE", list, queue, "RIGHT", "RIGHT")
          else
            redis.call("LMOVE", list, KEYS[2], "RIGHT", "RIGHT")
            table.insert(fatal, job)
          end
          job = redis.call("LINDEX", list, -1)
        end
      end
      redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - 86400)
      return fatal
    LUA

    # KEYS: the process' own list, the queue. ARGV: a job. One that is no longer in the list was let go meanwhile. It is
    # pushed first: what Redis refuses it refuses then.
    PUT_BACK = <<~LUA
      if redis.call("LPOS", KEYS[1], ARGV[1]) then
        redis.call("RPUSH", KEYS[2], ARGV[1])
        redis.call("LREM", KEYS[1], 1, ARGV[1])
      end
    LUA

    # A job in hand, as Sidekiq wants it.
    Taken = Struct.new(:fetch, :queue, :job) do
      def queue_name
        queue.delete_prefix("queue:")
      end

      # If Redis does not hear of it the job is found in the list, and done once more.
      def acknowledge
        fetch.let_go(job)
      rescue StandardError => e
        label = Payload.label(Payload.read(job))
        Rails.logger.error({ event: "job_not_let_go", job: label, exception: ErrorTrace.of(e) })
      end

      def requeue
        fetch.put_back(job)
      end

      # For the log of a process that stops with jobs in hand: what people write to each other is no matter for it.
      def inspect
        "a job of #{queue}"
      end
    end

    def initialize(options)
      queue, *others = options[:queues].uniq
      raise ArgumentError, "give Sidekiq one queue: it would never look at #{others.join(', ')}" if others.any?

      @queue = "queue:#{queue}"
      @list = "working:#{@queue}:#{options.fetch(:identity)}"
      @in_hand = Concurrent::Map.new # by which thread
      @unclaimed = []
      @stopping = false
      look # the first time before anything is taken
    end

    def retrieve_work
      job = Sidekiq.redis { |redis| redis.blmove(@queue, @list, "RIGHT", "LEFT", timeout: WAIT) } or return
      @in_hand[job] = Thread.current
      Taken.new(self, @queue, job)
    end

    # What the process could not finish before it has to stop, and when its threads have ended, too: who was still waiting
    # for a job may have been given one of these, and not have heard of it.
    def bulk_requeue(_in_progress, _options)
      listed.each { |job| put_back(job) }
    rescue StandardError => e # they stay in the list, which others will find
      Sidekiq.logger.warn("Failed to requeue jobs: #{e.message}")
    end

    # Done, or to be tried again later: nobody else need do it.
    def let_go(job)
      Sidekiq.redis { |redis| redis.lrem(@list, 1, job) }
    ensure
      @in_hand.delete(job)
    end

    def put_back(job)
      Sidekiq.redis { |redis| redis.eval(PUT_BACK, keys: [@list, @queue], argv: [job]) }
    ensure
      @in_hand.delete(job)
    end

    # From now on the process is only seen: it takes nothing over that it could not finish, and `bulk_requeue` puts back
    # its own.
    def stopping!
      @stopping = true
    end

    # Says that this process is there, and puts back what others have died with.
    def look
      return run(BE_SEEN) if @stopping

      run(LOOK).each { |job| bury(job) }
      put_back_unclaimed unless @stopping
    end

    private

    def run(script)
      Sidekiq.redis do |redis|
        redis.eval(script, keys: [REGISTER, @list, RESUMED], argv: [SILENCE, DEATHS, FATAL, MEMORY])
      end
    end

    def listed
      Sidekiq.redis { |redis| redis.lrange(@list, 0, -1) }
    end

    # Whoever dies in here leaves the job in his list, to be buried by the next.
    def bury(job)
      Bury.call(job)
      let_go(job)
      Sidekiq.redis { |redis| redis.del(deaths(job)) }
    end

    # Of a job that Redis has moved nobody has heard if the answer was lost, and a thread may have died with its job.
    # One that has just been moved may be about to be taken, and is left until the next look.
    def put_back_unclaimed
      unclaimed = listed.reject { |job| @in_hand[job]&.alive? }
      lost, @unclaimed = unclaimed.partition { |job| @unclaimed.include?(job) }
      lost.each { |job| @in_hand.key?(job) && another_death(job) >= FATAL ? bury(job) : put_back(job) }
    end

    # Of a thread, which may be as much the job's doing as that of a process.
    def another_death(job)
      died, = Sidekiq.redis do |redis|
        redis.multi do |transaction|
          transaction.incr(deaths(job))
          transaction.expire(deaths(job), MEMORY)
        end
      end
      died
    end

    def deaths(job)
      DEATHS + Digest::SHA1.hexdigest(job)
    end
  end
end
