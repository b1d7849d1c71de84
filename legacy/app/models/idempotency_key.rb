# frozen_string_literal: true

# The answer to a create, under the key that its user sent along. The key is claimed in the transaction of what is
# created: neither is ever there without the other.
class IdempotencyKey < ApplicationRecord
  LIFETIME = 24.hours
  SWEPT = LIFETIME + 1.hour # later than anybody may still be reading it
  LONGEST_WAIT = "3s"

  class << self
    # The answer that is kept, or that of the block (its status and body), which is kept then. Of two at once the second
    # waits for the first.
    def once(fingerprint:, **owner)
      transaction do
        if claimed?(owner, fingerprint)
          status, body = yield
          find_by!(owner).tap { |key| key.update!(status: status, body: body) }
        else
          find_by!(owner).tap { |key| raise ApiError::IdempotencyKeyReused if key.fingerprint != fingerprint }
        end
      end
    end

    private

    def claimed?(owner, fingerprint)
      connection.execute("SET LOCAL lock_timeout = '#{LONGEST_WAIT}'")
      sweep
      where(created_at: ..LIFETIME.ago).where(owner).delete_all
      row = owner.merge(fingerprint: fingerprint, created_at: Time.current)
      insert(row, unique_by: owner.keys, returning: :id).any?.tap do
        connection.execute("SET LOCAL lock_timeout TO DEFAULT")
      end
    rescue ActiveRecord::LockWaitTimeout
      raise ApiError::IdempotencyKeyInUse
    end

    # Each key that comes takes two along that have expired, whosever they are: so there is never more than a day of them.
    def sweep
      expired = where(created_at: ..SWEPT.ago).order(:created_at).limit(2)
      where(id: expired.lock("FOR UPDATE SKIP LOCKED")).delete_all
    end
  end

  # Whether this answer was given before.
  def replayed?
    !saved_change_to_status?
  end
end
