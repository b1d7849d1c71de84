# frozen_string_literal: true

class CreateInboxesAndContacts < ActiveRecord::Migration[6.1]
  def change
    create_table :inboxes do |t|
      t.references :account, null: false, foreign_key: true
      t.string :name, null: false
      t.string :channel, null: false
      t.string :status, null: false, default: "active"
      t.jsonb :config, null: false, default: {}
      t.timestamps precision: 6

      t.check_constraint "channel IN ('web', 'facebook')", name: "inboxes_channel_is_known"
      t.check_constraint "status IN ('active', 'disconnected')", name: "inboxes_status_is_known"
    end

    create_table :contacts do |t|
      t.references :account, null: false, foreign_key: true, index: false
      t.string :name, null: false
      t.string :external_id
      t.timestamps precision: 6

      t.index %i[account_id external_id], unique: true
    end
  end
end
