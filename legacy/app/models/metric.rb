# frozen_string_literal: true

# How often something happened in an account on one day.
class Metric < ApplicationRecord
  belongs_to :account

  validates :day, :name, presence: true
  validates :name, uniqueness: { scope: %i[account_id day] }
end
