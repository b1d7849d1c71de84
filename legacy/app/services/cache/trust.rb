# frozen_string_literal: true

module Cache
  # Whether entries may be believed, where Redis could not be told of every write: its keys stand in PostgreSQL then.
  #
  # A process believes the cache for as long as `x.cache.look` after it began to look into `keys_to_forget`, and found
  # nothing or forgot what it found. A write that cannot mark its keys writes them down in its own transaction. From
  # then on whoever looks finds that one is under way, by the lock that its INSERT holds, and from the COMMIT on he finds
  # the keys. So when it has waited for `x.cache.look` nobody believes the cache any more, and its COMMIT may come.
  #
  # The keys stand for some seconds, and as long nobody believes the cache: writes that follow need not wait again.
  class Trust
    # Seconds for which keys stand, at least: a pause, a wait for Redis and one for the readers, so that of the writes of
    # an outage that follow each other the first one waits for the readers, and no other.
    KEPT = 3.0
    BATCH = 1000

    # A look into what is written down. It is clean if nothing is left of that.
    Look = Struct.new(:began, :ended, :clean)

    def initialize(link)
      @link = link
      @looking = Mutex.new
      @last = Look.new(0.0, 0.0, true)
      @doubted_until = 0.0 # until when nobody believes the cache, as far as this process knows
      @passed_over = 0
    end

    def holds?
      return false if @link.pauses_reads?

      came = Cache.now
      # If one has ended that many have waited for, it speaks for all.
      @looking.synchronize { look if @last.ended < came } unless still_counts?(came)
      @last.clean && still_counts?(came)
    end

    # One more read that the database answered because the cache could not be asked, or believed.
    def pass_over
      @passed_over += 1
      nil
    end

    # In the transaction that could not mark them. When it returns nobody believes the cache, until the COMMIT, and if
    # that comes until the time returned.
    def write_down(keys)
      began = Cache.now
      KeyToForget.write_down(keys, KEPT)
      sleep(counts_for) if Cache.now >= @doubted_until
      began + KEPT - counts_for # who began to look before that finds the keys
    end

    # The COMMIT has come.
    def doubted(time)
      @doubted_until = [time, @doubted_until].max
    end

    private

    def still_counts?(came)
      @link.failed_at < @last.began && came < @last.began + counts_for
    end

    def counts_for
      Rails.configuration.x.cache.look
    end

    def look
      began = Cache.now
      clean = false
      clean = nothing_is_left?
      Rails.logger.warn({ event: "cache_doubted" }) if @last.clean && !clean
    ensure
      @last = Look.new(began, Cache.now, clean)
      tell_of_return if clean && @passed_over.positive?
    end

    def nothing_is_left?
      # In this order: what is no longer under way has left its keys.
      return false if KeyToForget.under_way?

      rows = KeyToForget.oldest(BATCH)
      return false if rows.any?(&:kept)

      forget(rows) if rows.any?
      rows.size < BATCH
    end

    def forget(rows)
      @link.read { Leases.new(CACHE).forget(rows.map(&:key).uniq, "") }
      KeyToForget.where(id: rows.map(&:id)).delete_all
    end

    def tell_of_return
      Rails.logger.info({ event: "cache_back", passed_over: @passed_over })
      @passed_over = 0
    end
  end
end
