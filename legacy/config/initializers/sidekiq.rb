# frozen_string_literal: true

redis = { url: ENV.fetch("REDIS_URL", "redis://127.0.0.1:6379/0"), network_timeout: 1 }

# A job whose receipt was lost may be in the queue: pushed again it would be there twice.
Sidekiq.configure_client { |config| config.redis = redis.merge(reconnect_attempts: 0) }
Sidekiq.configure_server do |config|
  config.redis = redis
  config.on(:startup) do
    fetch = Sidekiq.options[:fetch] = Jobs::Fetch.new(Sidekiq.options)
    Sidekiq.options[:scheduled_enq] = Jobs::Enq
    in_hand = Jobs::Rounds.new("jobs in hand", pause: Jobs::Fetch::PAUSE) { fetch.look }
    waiting = Jobs::Rounds.new("jobs that wait", pause: 2) { nil while WaitingJob.relay == WaitingJob::BATCH }
    [in_hand, waiting].each(&:start)
    # Jobs in hand may take some time yet, in which others must not take the process for dead: it is seen until it exits.
    config.on(:shutdown) do
      fetch.stopping!
      waiting.stop
    end
    # The process ends when its last thread does. By then they have had their time, and their jobs are back in the queue:
    # one whose PostgreSQL does not answer would roll back for ever.
    at_exit do
      ObjectSpace.each_object(PG::Connection) do |connection|
        connection.socket_io.shutdown unless connection.finished?
      rescue PG::Error, SystemCallError # it is lost already
        next
      end
    end
  end
  # Sidekiq would log a failed job whole, and what a webhook's holds are people's words to each other.
  config.error_handlers.replace(
    [lambda do |error, context|
      exception = ErrorTrace.of(error)
      next Rails.logger.error({ event: "worker_failed", exception: exception }) unless context.key?(:job)

      job = (Hash.try_convert(context[:job]) || {}).slice("class", "jid", "retry_count") # what was queued may be no job
      Rails.logger.warn({ event: "job_failed", job: job, exception: exception })
    end]
  )
end
