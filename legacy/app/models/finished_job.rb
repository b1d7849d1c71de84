# frozen_string_literal: true

# That a job has done its work for a message. Written in the transaction of that work.
class FinishedJob < ApplicationRecord
  belongs_to :message

  validates :job, presence: true

  # Sidekiq tries a job for three weeks; who tries one by hand that has been dead for longer may do its work twice.
  KEPT = 30.days

  # Each note that comes takes the two oldest along if their time is over: so there is never more than a month of them.
  def self.sweep
    expired = where(id: order(:id).limit(2), created_at: ..KEPT.ago)
    where(id: expired.lock("FOR UPDATE SKIP LOCKED")).delete_all
  end
end
