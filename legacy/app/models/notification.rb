# frozen_string_literal: true

# Tells a user of a message; unread until `read_at` is set.
class Notification < ApplicationRecord
  belongs_to :user
  belongs_to :message

  validates :message_id, uniqueness: { scope: :user_id }
end
