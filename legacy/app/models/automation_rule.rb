# frozen_string_literal: true

# "When this event happens and all of these conditions hold, do this."
#
#   conditions  [{ "field" => "content", "operator" => "contains", "value" => "refund" }]
#   actions     [{ "type" => "set_status", "value" => "pending" }, { "type" => "assign", "value" => 7 }]
#
# What is not understood here, or no longer possible, is left undone: a condition does not hold, an action does nothing.
class AutomationRule < ApplicationRecord
  # What a condition may ask of a message.
  FIELDS = {
    "content" => ->(message) { message.content },
    "direction" => ->(message) { message.direction },
    "channel" => ->(message) { message.inbox.channel }
  }.freeze
  # Upper and lower case are one: people write as they like.
  OPERATORS = {
    "contains" => ->(actual, wanted) { actual.downcase.include?(wanted.downcase) },
    "equals" => ->(actual, wanted) { actual.downcase == wanted.downcase }
  }.freeze

  belongs_to :account

  validates :event, presence: true

  # A rule without conditions applies to every message.
  def applies_to?(message)
    conditions.all? do |condition|
      field, operator = FIELDS[condition["field"]], OPERATORS[condition["operator"]]
      field && operator && operator.call(field.call(message), condition["value"].to_s)
    end
  end

  # What the actions make of a conversation, by its columns.
  def changes_to_make
    actions.map { |action| change(*action.values_at("type", "value")) }.reduce({}, :merge)
  end

  private

  def change(type, value)
    if type == "set_status" && Conversation::STATUSES.include?(value) then { status: value }
    elsif type == "assign" && account.users.exists?(id: RowId.parse(value)) then { assignee_id: value }
    else {}
    end
  end
end
