# frozen_string_literal: true

# How long a key stands for a write that Redis could not be told of before its commit.
class KeepKeysToForget < ActiveRecord::Migration[6.1]
  def change
    add_column :keys_to_forget, :kept_until, :datetime, precision: 6
  end
end
