# frozen_string_literal: true

# A customer's customer: who writes to an inbox.
class Contact < ApplicationRecord
  include Cached

  belongs_to :account
  has_many :conversations, dependent: :restrict_with_error
  has_many :messages, dependent: :restrict_with_error

  validates :name, presence: true
  validates :external_id, uniqueness: { scope: :account_id }, allow_nil: true

  forgets { [Cache::Entry.names(account_id)] }
end
