# frozen_string_literal: true

# Sent by a user (outgoing) or by a contact (incoming): exactly one of the two is set.
class Message < ApplicationRecord
  include Cached

  DIRECTIONS = %w[incoming outgoing].freeze
  STATUSES = %w[sent delivered failed].freeze
  LONGEST_CONTENT = 10_000

  belongs_to :account
  belongs_to :inbox
  belongs_to :conversation
  belongs_to :user, optional: true
  belongs_to :contact, optional: true
  has_many :notifications, dependent: :destroy
  has_many :finished_jobs, dependent: :delete_all

  validates :content, presence: true, length: { maximum: LONGEST_CONTENT }
  validates :direction, inclusion: { in: DIRECTIONS }
  validates :status, inclusion: { in: STATUSES }
  validates :external_id, uniqueness: { scope: :inbox_id }, allow_nil: true
  validate :one_sender

  # A conversation shows how many messages it has, and the last one.
  forgets(on: %i[create update destroy]) do
    [Cache::Entry.conversation(conversation_id, account_id), Cache::Entry.first_page(conversation_id, account_id)]
      .map(&:key)
  end

  after_create { @jobs = WaitingJob.leave(following_jobs, id) }

  # Of the outermost transaction: whoever creates a message may do more in it.
  after_create_commit do
    DomainEvents.publish("message.created", self)
    WaitingJob.hand_over(@jobs)
  end

  def sender
    user || contact
  end

  def sender_type
    user_id ? "user" : "contact"
  end

  def outgoing?
    direction == "outgoing"
  end

  # Whether this is still to be sent: not if Facebook has given it an id, or refused it.
  def awaits_facebook?
    outgoing? && inbox.facebook? && external_id.nil? && status == "sent"
  end

  private

  def following_jobs
    jobs = [NotifyAgentsJob, RunAutomationRulesJob]
    jobs << CountReplyJob if outgoing?
    jobs << FacebookSendJob if awaits_facebook?
    jobs
  end

  def one_sender
    senders = [user || user_id, contact || contact_id].compact
    errors.add(:sender, "must be either a user or a contact") unless senders.one?
  end
end
