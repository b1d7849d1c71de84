# frozen_string_literal: true

# A key of the cache that Redis could not be told of. It stands until `kept_until` at least.
class KeyToForget < ApplicationRecord
  self.table_name = "keys_to_forget"

  WRITE_DOWN = <<~SQL
    INSERT INTO keys_to_forget (key, created_at, kept_until)
    SELECT unnest(ARRAY[:keys]), now() AT TIME ZONE 'utc',
           (clock_timestamp() + make_interval(secs => :seconds)) AT TIME ZONE 'utc'
  SQL
  UNDER_WAY = <<~SQL
    SELECT EXISTS (
      SELECT FROM pg_locks
       WHERE relation = 'keys_to_forget'::regclass AND mode = 'RowExclusiveLock'
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
  SQL
  KEPT = "id, key, COALESCE(kept_until > now() AT TIME ZONE 'utc', false) AS kept"

  class << self
    def write_down(keys, seconds)
      connection.execute(sanitize_sql([WRITE_DOWN, { keys: keys, seconds: seconds }]))
    end

    # Whether a transaction that has written keys down may still commit.
    def under_way?
      uncached { connection.select_value(UNDER_WAY) }
    end

    def oldest(number)
      uncached { order(:id).limit(number).select(KEPT).to_a }
    end
  end
end
