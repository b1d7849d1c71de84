# frozen_string_literal: true

# What happened, told after the commit to those whom it concerns. Each of them may fail alone: the others are still
# told, and the caller, whose work is committed, does not notice.
module DomainEvents
  SUBSCRIBERS = {
    "message.created" => %w[BroadcastMessage NotifyAgents ForgetCachedConversation]
  }.freeze

  def self.publish(event, subject)
    SUBSCRIBERS.fetch(event).each do |name|
      name.constantize.call(subject)
    rescue StandardError => e
      Rails.logger.error("event=#{event} subscriber=#{name} id=#{subject.id} #{e.class}: #{e.message}")
    end
  end
end
