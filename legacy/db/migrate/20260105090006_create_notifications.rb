# frozen_string_literal: true

class CreateNotifications < ActiveRecord::Migration[6.1]
  def change
    create_table :notifications do |t|
      t.references :user, null: false, foreign_key: true, index: false
      t.references :message, null: false, foreign_key: true
      t.datetime :read_at, precision: 6
      t.timestamps precision: 6

      # A message is told to a user once, however often the job runs.
      t.index %i[user_id message_id], unique: true
    end
  end
end
