# frozen_string_literal: true

# A key of the cache that Redis could not be told to forget.
class KeyToForget < ApplicationRecord
  self.table_name = "keys_to_forget"

  def self.write_down(keys)
    now = Time.current
    insert_all!(keys.map { |key| { key: key, created_at: now } })
  end
end
