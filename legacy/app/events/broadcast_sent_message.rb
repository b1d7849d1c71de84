# frozen_string_literal: true

# Facebook has taken a message.
module BroadcastSentMessage
  def self.call(message)
    BroadcastMessage.call(message, event: "message.sent")
  end
end
