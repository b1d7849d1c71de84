# frozen_string_literal: true

# Answers that both sides keep for each other in Redis, and that are never older than the last commit.
#
# Whoever misses an entry is given a lease, reads the database, and fills the entry if the lease is still good. Whoever
# changes a row marks the keys that show it, before the COMMIT: that deletes entry and lease, and until the mark is
# lifted nobody is given either, but reads the database. Who dies with a mark leaves it to expire, which it does later
# than PostgreSQL would end the transaction.
#
# Redis may be away: then the database answers, and for a second nobody here asks Redis again (Link). Keys that could not
# be marked or forgotten are written down in PostgreSQL, and nobody believes the cache before they are forgotten (Trust).
module Cache
  LINK = Link.new
  TRUST = Trust.new(LINK)
  # Queries under way, by the token of their lease. Others wait for one of them instead of asking as well.
  FLIGHTS = Concurrent::Map.new
  Flight = Struct.new(:account_id, :landing)

  # What a transaction is about to make untrue. Without a token it is written down in the transaction itself, and if that
  # is committed nobody believes the cache for a while.
  Marks = Struct.new(:keys, :token, :doubted_until)

  class << self
    # The entry as text, or what the block makes of the database. A block that raises keeps nothing.
    def fetch(entry, account_id, &load)
      token = Leases.token
      flight = FLIGHTS[token] = Flight.new(account_id, Concurrent::Promises.resolvable_future)
      found = find(entry, account_id, token)
      # Of another process, or landed while we were told of it: then the entry is there by now.
      found = find(entry, account_id, token) if found&.verdict == "follow" && !FLIGHTS.key?(found.token)
      case found&.verdict
      when "hit" then found.content.force_encoding(Encoding::UTF_8)
      when "lead" then lead(entry, flight, found, &load)
      when "follow" then follow(found.token, flight, &load)
      else yield
      end
    ensure
      FLIGHTS.delete(token)
      flight.landing.reject(nil, false) # for those who wait, if nothing came of it
    end

    # Before a COMMIT: from here on nobody reads or fills what shows the keys.
    def mark(keys)
      token = Leases.token
      LINK.write { Leases.new(REDIS).mark(keys, token) }
      Marks.new(keys, token)
    rescue Link::Away
      Marks.new(keys, nil, TRUST.write_down(keys))
    end

    # After the COMMIT. One that failed, or was not answered, may still come true: its marks are left to expire.
    def forget(marks)
      return TRUST.doubted(marks.doubted_until) unless marks.token

      LINK.write { Leases.new(REDIS).forget(marks.keys, marks.token) }
    rescue Link::Away
      # Should Redis have lost the marks as well, an entry may be there that is older than the COMMIT. It is for whoever
      # looks next: nobody has believed the keys since they were marked.
      KeyToForget.write_down(marks.keys, 0)
    end

    # A clock that nobody sets.
    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    private

    # nil if Redis is away, or not to be believed
    def find(entry, account_id, token)
      return TRUST.pass_over unless TRUST.holds?

      LINK.read { read(entry, account_id, token) }
    rescue Link::Away
      TRUST.pass_over
    end

    # Redis may still carry it out, and give a lease of which nobody hears. What is asked now comes after that, and nobody
    # waits for it.
    def read(entry, account_id, token)
      Leases.new(CACHE).read(entry, account_id, token)
    rescue *Link::FAILURES
      Concurrent::Promises.future { Leases.new(CACHE).give_back(entry, token) }
      raise
    end

    def lead(entry, flight, found)
      answer = nil
      answer = yield
      flight.landing.fulfill(answer)
      answer
    ensure
      settle(entry, flight.account_id, found, answer)
    end

    # If it is of another process, whoever is first to follow it here asks for all who do. Nothing that the entry shows
    # has been changed since the lease was given: no query since then is too old for who is told of it.
    def follow(leader, own, &load)
      flight = FLIGHTS.put_if_absent(leader, own)
      return fly(leader, own, &load) unless flight
      # That of an account to which something else is there is not ours to wait for.
      return yield unless flight.account_id == own.account_id

      answered, answer, = flight.landing.result
      answered ? answer : yield
    end

    def fly(leader, own)
      yield.tap { |answer| own.landing.fulfill(answer) }
    ensure
      FLIGHTS.delete(leader)
    end

    def settle(entry, account_id, found, answer)
      LINK.read do
        leases = Leases.new(CACHE)
        answer ? leases.fill(entry, account_id, found.content, answer) : leases.give_back(entry, found.token)
      end
    rescue Link::Away
      nil # the lease expires
    end
  end
end
