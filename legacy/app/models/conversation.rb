# frozen_string_literal: true

class Conversation < ApplicationRecord
  include Cached

  STATUSES = %w[open pending resolved].freeze

  belongs_to :account
  belongs_to :inbox
  belongs_to :contact
  belongs_to :assignee, class_name: "User", optional: true
  has_many :messages, dependent: :restrict_with_error

  validates :status, inclusion: { in: STATUSES }
  validates :last_activity_at, presence: true

  forgets { [Cache::Entry.conversation(id, account_id).key] }

  after_update_commit(if: :saved_changes?) { DomainEvents.publish("conversation.updated", self) }

  # Hands over what the list shows, so that this conversation need not ask for it.
  def summarize(message_count:, last_message:)
    @summary = { message_count: message_count, last_message: last_message }
  end

  def message_count
    @summary ? @summary[:message_count] : messages.count
  end

  def last_message
    return @summary[:last_message] if @summary

    @last_message ||= messages.order(:id).last
  end
end
