# frozen_string_literal: true

# Somebody who answers customers.
class User < ApplicationRecord
  include Cached

  ROLES = %w[agent admin].freeze
  LONGEST_NAME = 100

  belongs_to :account
  has_many :messages, dependent: :restrict_with_error
  has_many :notifications, dependent: :destroy
  has_many :assigned_conversations, class_name: "Conversation", foreign_key: :assignee_id,
                                    inverse_of: :assignee, dependent: :nullify

  has_secure_password

  before_validation { self.email = User.normalize_email(email) if email }

  validates :email, presence: true, uniqueness: true
  validates :name, presence: true
  validates :role, inclusion: { in: ROLES }

  forgets { [Cache::Entry.user(id).key, Cache::Entry.names(account_id)] }

  # E-mails are compared without case and surrounding white space, and stored so.
  def self.normalize_email(text)
    text.strip.downcase
  end

  def admin?
    role == "admin"
  end
end
