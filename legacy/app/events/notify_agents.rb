# frozen_string_literal: true

module NotifyAgents
  def self.call(message)
    NotifyAgentsJob.perform_async(message.id)
  end
end
