# frozen_string_literal: true

module RunAutomationRules
  def self.call(message)
    RunAutomationRulesJob.perform_async(message.id)
  end
end
