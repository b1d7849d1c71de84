# frozen_string_literal: true

# Sent by a user (outgoing) or by a contact (incoming): exactly one of the two is set.
class Message < ApplicationRecord
  DIRECTIONS = %w[incoming outgoing].freeze
  STATUSES = %w[sent delivered failed].freeze

  belongs_to :account
  belongs_to :inbox
  belongs_to :conversation
  belongs_to :user, optional: true
  belongs_to :contact, optional: true
  has_many :notifications, dependent: :destroy

  validates :content, presence: true, length: { maximum: 10_000 }
  validates :direction, inclusion: { in: DIRECTIONS }
  validates :status, inclusion: { in: STATUSES }
  validates :external_id, uniqueness: { scope: :inbox_id }, allow_nil: true
  validate :one_sender

  def sender
    user || contact
  end

  def sender_type
    user_id ? "user" : "contact"
  end

  private

  def one_sender
    senders = [user || user_id, contact || contact_id].compact
    errors.add(:sender, "must be either a user or a contact") unless senders.one?
  end
end
