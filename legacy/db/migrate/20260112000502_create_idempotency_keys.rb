# frozen_string_literal: true

# Answers to creates, by the keys under which they may be asked again.
class CreateIdempotencyKeys < ActiveRecord::Migration[6.1]
  def change
    create_table :idempotency_keys do |t|
      # Without foreign keys: whose user is gone is told so by what is created, and rows are gone in a day.
      t.bigint :account_id, null: false
      t.bigint :user_id, null: false
      t.string :key, null: false
      t.string :fingerprint, null: false
      # Null only in the transaction that claims the key.
      t.integer :status
      t.text :body
      t.datetime :created_at, precision: 6, null: false, index: true

      t.index %i[account_id user_id key], unique: true
    end
  end
end
