# frozen_string_literal: true

module Facebook
  # Sends an agent's message to its contact and keeps Facebook's id of it: whoever has one is never sent again.
  #
  # The row stays locked while Facebook is asked, so that of two deliveries of one job the second finds the id. A process
  # that dies, or loses its database, between Facebook's answer and the commit leaves no id: sent again, the message
  # reaches the contact twice. Nobody can have both in one transaction, and lost would be worse.
  class Deliver
    def self.call(message_id)
      new(message_id).call
    end

    # After the last attempt.
    def self.give_up(message_id)
      new(message_id).give_up
    end

    def initialize(message_id)
      @message_id = message_id
    end

    def call
      settle { |message| deliver(message) }
    end

    def give_up
      settle { |message| failed(message) }
    end

    private

    # The block tells what has happened; that is published after the commit.
    def settle
      happened = Message.transaction do
        # Notifications of the message, which refer to it, need not wait.
        message = Message.lock("FOR NO KEY UPDATE").find_by(id: @message_id)
        message&.awaits_facebook? ? yield(message) : {}
      end
      happened.each { |event, subject| DomainEvents.publish(event, subject) }
    end

    def deliver(message)
      inbox = message.inbox
      recipient_id = message.conversation.contact.external_id
      return failed(message) if inbox.status == "disconnected" || recipient_id.nil?

      id = Graph.new(inbox.config["pageToken"]).send_text(recipient_id: recipient_id, text: message.content)
      message.update!(external_id: id)
      { "message.sent" => message }
    rescue Graph::TokenRefused => e
      failed(message, e).merge(disconnected(inbox))
    rescue Graph::MessageRefused => e
      failed(message, e)
    end

    def failed(message, error = nil)
      Rails.logger.warn({ event: "message_failed", id: message.id, error: error&.message }.compact)
      message.update!(status: "failed")
      { "message.failed" => message }
    end

    # Unless that has been told, or somebody has given the page another token since.
    def disconnected(inbox)
      token = inbox.config["pageToken"]
      inbox.lock!("FOR NO KEY UPDATE")
      return {} if inbox.status == "disconnected" || inbox.config["pageToken"] != token

      inbox.update!(status: "disconnected")
      { "inbox.disconnected" => inbox }
    end
  end
end
