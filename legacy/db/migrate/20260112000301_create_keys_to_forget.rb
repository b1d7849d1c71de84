# frozen_string_literal: true

# Keys of the cache that Redis could not be told to forget, until it can be.
class CreateKeysToForget < ActiveRecord::Migration[6.1]
  def change
    create_table :keys_to_forget do |t|
      t.string :key, null: false
      t.datetime :created_at, precision: 6, null: false
    end
  end
end
