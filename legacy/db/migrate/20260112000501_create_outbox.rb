# frozen_string_literal: true

# Jobs, written in the transaction of what they follow and handed to Sidekiq after its commit.
class CreateOutbox < ActiveRecord::Migration[6.1]
  def change
    create_table :outbox do |t|
      t.string :queue, null: false, default: "default"
      t.string :job, null: false
      t.jsonb :args, null: false
      # Given once, and kept however often the row is handed over: by it a second delivery is known.
      t.string :jid, null: false, default: -> { "substr(replace(gen_random_uuid()::text, '-', ''), 1, 24)" }
      t.datetime :created_at, precision: 6, null: false
    end
  end
end
