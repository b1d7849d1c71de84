# frozen_string_literal: true

# Stores the messages of a delivery of Facebook's. One that cannot be stored does not keep back the others; the job is
# tried again for it, and finds the others there already.
class FacebookWebhookJob
  include Sidekiq::Worker

  def perform(entries)
    failures = Facebook::Incoming.all_in(entries).filter_map { |incoming| failure(incoming) }
    raise failures.first if failures.any?
  end

  private

  def failure(incoming)
    Facebook::Receive.call(incoming)
    nil
  rescue StandardError => e
    Rails.logger.error({ event: "facebook_message_not_stored", mid: incoming.mid, exception: ErrorTrace.of(e) })
    e
  end
end
