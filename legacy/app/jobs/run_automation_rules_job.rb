# frozen_string_literal: true

# Does to a message's conversation what the account's rules for a new message say.
class RunAutomationRulesJob
  include Sidekiq::Worker
  include OncePerMessage

  EVENT = "message.created"

  def perform(message_id)
    once_for(message_id) do |message|
      changes = changes_for(message)
      Conversations::Update.call(message.conversation, changes) if changes.any?
    end
  end

  private

  # Of two rules about the same thing the later one has its way.
  def changes_for(message)
    rules = AutomationRule.where(account_id: message.account_id, event: EVENT).order(:id)
    rules.select { |rule| rule.applies_to?(message) }.map(&:changes_to_make).reduce({}, :merge)
  end
end
