# frozen_string_literal: true

module CountReply
  def self.call(message)
    CountReplyJob.perform_async(message.id) if message.outgoing?
  end
end
