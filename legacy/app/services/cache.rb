# frozen_string_literal: true

# Answers that both sides keep for each other in Redis, and that are never older than the last commit.
#
# Whoever misses an entry is given a lease, reads the database, and fills the entry if the lease is still good. Whoever
# changes a row marks the keys that show it, before the COMMIT: that deletes entry and lease, and until the mark is
# lifted nobody is given either, but reads the database. Who dies with a mark leaves it to expire, which it does later
# than PostgreSQL would end the transaction.
#
# Redis may be away: then the database answers. Keys that could not be marked or forgotten are rows of `keys_to_forget`.
# Whoever uses the cache, of whichever side, first forgets what stands there, unless it has looked within a second.
module Cache
  LINK = Link.new
  # Queries under way, by the token of their lease. Others wait for one of them instead of asking as well.
  FLIGHTS = Concurrent::Map.new
  Flight = Struct.new(:account_id, :landing)

  class << self
    # The entry as text, or what the block makes of the database. A block that raises keeps nothing.
    def fetch(entry, account_id, &load)
      token = Leases.token
      flight = FLIGHTS[token] = Flight.new(account_id, Concurrent::Promises.resolvable_future)
      found = find(entry, account_id, token)
      case found&.verdict
      when "hit" then found.content.force_encoding(Encoding::UTF_8)
      when "lead" then lead(entry, flight, found.content, &load)
      when "follow" then follow(FLIGHTS[found.token], account_id, &load)
      else yield
      end
    ensure
      FLIGHTS.delete(token)
      flight.landing.reject(nil, false) # for those who wait, if nothing came of it
    end

    # Before a COMMIT: from here on nobody reads or fills what shows the keys. Returns the token that lifts the marks;
    # none if Redis is away, and then the keys are written down in the transaction itself.
    def mark(keys)
      token = Leases.token
      LINK.ask { Leases.new(REDIS).mark(keys, token) }
      token
    rescue Link::Away
      KeyToForget.write_down(keys)
      nil
    end

    # After the COMMIT. One that failed, or was not answered, may still come true: its marks are left to expire.
    def forget(keys, token)
      return unless token

      LINK.ask { retrying_once { Leases.new(REDIS).forget(keys, token) } }
    rescue Link::Away
      # Should Redis have lost the marks as well, an entry may be there that is older than the COMMIT.
      KeyToForget.write_down(keys)
    end

    private

    # nil if Redis is away
    def find(entry, account_id, token)
      LINK.check
      LINK.ask { Leases.new(CACHE).read(entry, account_id, token) }
    rescue Link::Away
      LINK.pass_over
    end

    def lead(entry, flight, lease)
      answer = nil
      answer = yield
      flight.landing.fulfill(answer)
      answer
    ensure
      fill(entry, flight.account_id, lease, answer.to_s)
    end

    # The flight of another process, or of an account to which something else is there, is not ours to wait for.
    def follow(flight, account_id)
      return yield unless flight&.account_id == account_id

      answered, answer, = flight.landing.result
      answered ? answer : yield
    end

    def fill(entry, account_id, lease, answer)
      LINK.ask { Leases.new(CACHE).fill(entry, account_id, lease, answer) }
    rescue Link::Away
      nil # the lease expires
    end

    # Forgetting twice does no harm, and a connection that was lost in the meantime is replaced.
    def retrying_once
      yield
    rescue Redis::ConnectionError, SystemCallError
      yield
    end
  end
end
