# frozen_string_literal: true

# Where conversations come in.
class Inbox < ApplicationRecord
  CHANNELS = %w[web facebook].freeze
  STATUSES = %w[active disconnected].freeze

  belongs_to :account
  has_many :conversations, dependent: :restrict_with_error
  has_many :messages, dependent: :restrict_with_error

  validates :name, presence: true
  validates :channel, inclusion: { in: CHANNELS }
  validates :status, inclusion: { in: STATUSES }
end
