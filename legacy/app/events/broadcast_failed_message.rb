# frozen_string_literal: true

# A message will not reach its contact.
module BroadcastFailedMessage
  def self.call(message)
    BroadcastMessage.call(message, event: "message.failed")
  end
end
