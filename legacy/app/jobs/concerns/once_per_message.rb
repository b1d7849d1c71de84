# frozen_string_literal: true

# For jobs whose work would show if it were done twice. Sidekiq, and whoever enqueues for it, may deliver a job again:
# the note that it is finished is committed with its work, and a delivery that finds the note does nothing.
module OncePerMessage
  extend ActiveSupport::Concern

  private

  # Yields the message in a transaction, unless it is gone or this job has been done for it. The second of two at once
  # waits for the first one's end.
  def once_for(message_id)
    Message.transaction do
      message = Message.find_by(id: message_id)
      yield message if message && note(message)
    end
  end

  def note(message)
    row = { message_id: message.id, job: self.class.name, created_at: Time.current }
    FinishedJob.sweep
    FinishedJob.insert(row, unique_by: %i[message_id job], returning: :id).any?
  end
end
