# frozen_string_literal: true

module Jobs
  # Puts the jobs whose time has come into their queues, whenever Sidekiq's poller asks. Sidekiq itself takes each out
  # of its set first and pushes it with another command: if that is refused, or never made, the job is lost.
  class Enq
    SETS = %w[retry schedule]

    # KEYS: the set, the queue, the names of all queues. ARGV: the job as it lies in the set and as it is to be queued,
    # the queue's name. What Redis refuses it refuses at the first write, when nothing has changed. A job that is no
    # longer in the set was moved by another process.
    MOVE = <<~LUA
      if redis.call("ZSCORE", KEYS[1], ARGV[1]) then
        redis.call("LPUSH", KEYS[2], ARGV[2])
        redis.call("SADD", KEYS[3], ARGV[3])
        redis.call("ZREM", KEYS[1], ARGV[1])
      end
    LUA

    def initialize
      @done = false
    end

    def enqueue_jobs(sets = SETS)
      sets.each do |set|
        while !@done && (job = due(set))
          move(set, job)
        end
      end
    end

    def terminate
      @done = true
    end

    private

    # One at a time: other processes move jobs, too.
    def due(set)
      Sidekiq.redis { |redis| redis.zrangebyscore(set, "-inf", Time.now.to_f, limit: [0, 1]) }.first
    end

    def move(set, job)
      queue, payload = queued(job)
      Sidekiq.redis do |redis|
        redis.eval(MOVE, keys: [set, "queue:#{queue}", "queues"], argv: [job, payload, queue])
      end
    end

    # What cannot be read must not keep back the others: whoever takes it will see to it.
    def queued(job)
      parsed = Sidekiq.load_json(job)
      return [default_queue, job] unless parsed.is_a?(Hash)

      [parsed["queue"] || default_queue, Sidekiq.dump_json(parsed.merge("enqueued_at" => Time.now.to_f))]
    rescue JSON::ParserError
      [default_queue, job]
    end

    def default_queue
      Sidekiq.options[:queues].first
    end
  end
end
