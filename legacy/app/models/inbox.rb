# frozen_string_literal: true

# Where conversations come in.
class Inbox < ApplicationRecord
  include Cached

  CHANNELS = %w[web facebook].freeze
  STATUSES = %w[active disconnected].freeze
  LONGEST_NAME = 100

  belongs_to :account
  has_many :conversations, dependent: :restrict_with_error
  has_many :messages, dependent: :restrict_with_error

  validates :name, presence: true
  validates :channel, inclusion: { in: CHANNELS }
  validates :status, inclusion: { in: STATUSES }

  forgets { [Cache::Entry.inbox(id).key, Cache::Entry.names(account_id)] }

  # Its page leads to one inbox at most; nil if to none.
  def self.of_facebook_page(page_id)
    find_by("channel = 'facebook' AND config ->> 'pageId' = ?", page_id)
  end

  def facebook?
    channel == "facebook"
  end
end
