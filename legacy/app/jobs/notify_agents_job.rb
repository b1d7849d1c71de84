# frozen_string_literal: true

# One notification of a message for each other user of the account, however often it runs.
class NotifyAgentsJob
  include Sidekiq::Worker

  def perform(message_id)
    message = Message.find_by(id: message_id) or return

    users = User.where(account_id: message.account_id)
    users = users.where.not(id: message.user_id) if message.user_id
    now = Time.current
    rows = users.ids.map { |id| { user_id: id, message_id: message.id, created_at: now, updated_at: now } }
    Notification.insert_all(rows, unique_by: %i[user_id message_id]) if rows.any?
  end
end
