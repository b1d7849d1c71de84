# frozen_string_literal: true

module SendToFacebook
  def self.call(message)
    FacebookSendJob.perform_async(message.id) if message.awaits_facebook?
  end
end
