# frozen_string_literal: true

class CreateFinishedJobs < ActiveRecord::Migration[6.1]
  def change
    create_table :finished_jobs do |t|
      t.references :message, null: false, foreign_key: { on_delete: :cascade }, index: false
      t.string :job, null: false
      t.datetime :created_at, precision: 6, null: false

      # A job does its work for a message once, however often it is delivered.
      t.index %i[message_id job], unique: true
    end
  end
end
