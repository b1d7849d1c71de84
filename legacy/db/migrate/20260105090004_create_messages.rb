# frozen_string_literal: true

class CreateMessages < ActiveRecord::Migration[6.1]
  def change
    create_table :messages do |t|
      t.references :account, null: false, foreign_key: true
      # The conversation's own, repeated because external ids are unique in an inbox.
      t.references :inbox, null: false, foreign_key: true, index: false
      t.references :conversation, null: false, foreign_key: true, index: false
      t.references :user, foreign_key: true
      t.references :contact, foreign_key: true
      t.string :direction, null: false
      t.text :content, null: false
      t.string :external_id
      t.string :status, null: false, default: "sent"
      t.timestamps precision: 6

      t.index %i[conversation_id id]
      t.index %i[inbox_id external_id], unique: true
      t.check_constraint "num_nonnulls(user_id, contact_id) = 1", name: "messages_have_one_sender"
      t.check_constraint "(direction = 'outgoing') = (user_id IS NOT NULL)", name: "messages_of_users_are_outgoing"
      t.check_constraint "direction IN ('incoming', 'outgoing')", name: "messages_direction_is_known"
      t.check_constraint "status IN ('sent', 'delivered', 'failed')", name: "messages_status_is_known"
    end
  end
end
