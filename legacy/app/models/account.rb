# frozen_string_literal: true

# A customer of the product. Everything else belongs to one, and no one sees another's.
class Account < ApplicationRecord
  include Cached

  # What may be set, as `settings` names it. Others that are found there are not the API's.
  SETTINGS = %w[locale timezone autoReply].freeze
  LOCALES = %w[de en es fr it ja nl pt].freeze
  TIMEZONES = TZInfo::Timezone.all_identifiers.to_set.freeze

  has_many :users, dependent: :restrict_with_error
  has_many :inboxes, dependent: :restrict_with_error
  has_many :contacts, dependent: :restrict_with_error
  has_many :conversations, dependent: :restrict_with_error
  has_many :messages, dependent: :restrict_with_error
  has_many :automation_rules, dependent: :destroy
  has_many :metrics, dependent: :destroy

  validates :name, presence: true

  forgets { [Cache::Entry.settings(id).key] }
end
