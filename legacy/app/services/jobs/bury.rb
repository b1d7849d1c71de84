# frozen_string_literal: true

module Jobs
  # Gives up a job that its workers die with: as after its last attempt its class is told, and it goes where Sidekiq
  # keeps the dead.
  class Bury
    class WorkersDied < StandardError; end

    def self.call(payload)
      new(payload).call
    end

    def initialize(payload)
      @payload = payload
      @job = Payload.read(payload)
    end

    def call
      Rails.logger.error({ event: "job_buried", job: Payload.label(@job) })
      Rails.application.executor.wrap { tell }
      Sidekiq::DeadSet.new.kill(@payload, notify_failure: false) # which would parse it
    end

    private

    # An error of the class' must not keep the job alive.
    def tell
      job_class = @job["class"].to_s.safe_constantize
      return unless job_class.respond_to?(:sidekiq_retries_exhausted_block)

      job_class.sidekiq_retries_exhausted_block&.call(@job, WorkersDied.new("its workers died"))
    rescue StandardError => e
      Rails.logger.error({ event: "job_failed", job: Payload.label(@job), exception: ErrorTrace.of(e) })
    end
  end
end
