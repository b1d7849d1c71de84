# frozen_string_literal: true

# "When this event happens and these conditions hold, do this."
class AutomationRule < ApplicationRecord
  belongs_to :account

  validates :event, presence: true
end
