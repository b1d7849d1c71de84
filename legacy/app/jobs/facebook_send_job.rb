# frozen_string_literal: true

# Sends an agent's message in a Facebook inbox, with ever longer pauses while Facebook cannot take it.
class FacebookSendJob
  include Sidekiq::Worker

  FIRST_PAUSE = 5
  LONGEST_PAUSE = 3600

  # Facebook's wish counts if it is longer. Sidekiq adds some seconds by chance, so that not all come back at once.
  sidekiq_retry_in do |count, error|
    wish = error.is_a?(Facebook::Graph::TryLater) ? error.seconds : 0
    [[FIRST_PAUSE * (2**count), LONGEST_PAUSE].min, wish].max
  end

  sidekiq_retries_exhausted { |job| FacebookGiveUpJob.perform_async(*job["args"]) }

  def perform(message_id)
    Facebook::Deliver.call(message_id)
  end
end
