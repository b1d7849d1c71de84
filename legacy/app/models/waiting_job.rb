# frozen_string_literal: true

# A job that must not be lost: a row of the transaction of what it follows. The row goes when Redis has taken the job.
# Who dies between the two, or finds Redis away, leaves it to whoever looks next: native, or a worker (`Jobs::Rounds`). A
# job may be handed over twice then, under the same `jid`.
class WaitingJob < ApplicationRecord
  self.table_name = "outbox"

  BATCH = 100

  class << self
    # In the transaction at hand. Returns ids, by which to hand the jobs over after its commit.
    def leave(jobs, *args)
      now = Time.current
      insert_all!(jobs.map { |job| { job: job.name, args: args, created_at: now } }).pluck("id")
    end

    # After the commit, which an error must not make look like a failure.
    def hand_over(ids)
      Cache::LINK.tell { relay(where(id: ids)) }
    rescue StandardError => e
      Rails.logger.error({ event: "jobs_wait", exception: ErrorTrace.of(e) })
    end

    # Pushes a batch at most, in order, of those that nobody else is pushing. Returns how many.
    def relay(waiting = all)
      transaction do
        taken = waiting.order(:id).limit(BATCH).lock("FOR UPDATE SKIP LOCKED").to_a
        taken.each(&:push)
        where(id: taken.map(&:id)).delete_all
      end
    end
  end

  def push
    Sidekiq::Client.push(
      "class" => job, "queue" => queue, "args" => args, "jid" => jid, "created_at" => created_at.to_f
    )
  end
end
