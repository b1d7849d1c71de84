# frozen_string_literal: true

class CreateConversations < ActiveRecord::Migration[6.1]
  def change
    create_table :conversations do |t|
      t.references :account, null: false, foreign_key: true, index: false
      t.references :inbox, null: false, foreign_key: true
      t.references :contact, null: false, foreign_key: true
      t.references :assignee, foreign_key: { to_table: :users, on_delete: :nullify }
      t.string :status, null: false, default: "open"
      t.datetime :last_activity_at, precision: 6, null: false
      t.timestamps precision: 6

      # The pages of the list, whole and by status.
      t.index %i[account_id last_activity_at id], order: { last_activity_at: :desc, id: :desc },
                                                  name: "index_conversations_by_activity"
      t.index %i[account_id status last_activity_at id], order: { last_activity_at: :desc, id: :desc },
                                                         name: "index_conversations_by_status_and_activity"
      t.check_constraint "status IN ('open', 'pending', 'resolved')", name: "conversations_status_is_known"
    end
  end
end
