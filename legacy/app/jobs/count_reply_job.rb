# frozen_string_literal: true

# Counts an agent's reply in its account's metric `replies`, on the day (of UTC) on which it was written.
class CountReplyJob
  include Sidekiq::Worker
  include OncePerMessage

  METRIC = "replies"

  def perform(message_id)
    once_for(message_id) { |message| count(message) if message.outgoing? }
  end

  private

  def count(message)
    row = { account_id: message.account_id, day: message.created_at.to_date, name: METRIC }
    now = Time.current
    Metric.insert({ **row, value: 0, created_at: now, updated_at: now }, unique_by: row.keys)
    Metric.where(row).update_all(["value = value + 1, updated_at = ?", now])
  end
end
