# frozen_string_literal: true

# What happened, told after the commit to those whom it concerns. Each of them may fail alone: the others are still
# told, and the caller, whose work is committed, does not notice. Jobs must not be lost, and are committed with what they
# follow (`WaitingJob`).
module DomainEvents
  SUBSCRIBERS = {
    "message.created" => %w[BroadcastMessage],
    "message.sent" => %w[BroadcastSentMessage],
    "message.failed" => %w[BroadcastFailedMessage],
    "conversation.updated" => %w[BroadcastConversation],
    "inbox.disconnected" => %w[BroadcastDisconnectedInbox]
  }.freeze

  def self.publish(event, subject)
    SUBSCRIBERS.fetch(event).each do |name|
      name.constantize.call(subject)
    rescue StandardError => e
      told = { event: "subscriber_failed", of: event, subscriber: name, id: subject.id }
      Rails.logger.error(told.merge(exception: ErrorTrace.of(e)))
    end
  end
end
