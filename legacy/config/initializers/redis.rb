# frozen_string_literal: true

Redis.silence_deprecations = true

# Redis hangs up on who is silent for long, and when it is restarted. redis-rb finds that out by a command, which is
# lost with the connection: a look at the socket before costs a microsecond.
module LookBeforeAsking
  # Whom Redis refuses (it has too many clients) is told so before asking anything: the first command reads it.
  def connect
    @connecting = true
    super
  ensure
    @connecting = false
  end

  def call(*)
    leave_what_is_over
    super
  end

  def call_pipeline(*)
    leave_what_is_over
    super
  end

  private

  # Where nothing is owed, what can be read is the end.
  def leave_what_is_over
    disconnect if !@connecting && @pending_reads.zero? && connected? && connection.readable?
  end
end

module ReadableConnection
  # By reading: what comes may be TLS' own, a ticket for the next session or a key, which are passed over on the way.
  def readable?
    !@sock.read_nonblock(1, exception: false).is_a?(Symbol) # which says that there is nothing yet
  rescue SystemCallError, OpenSSL::SSL::SSLError
    true
  end
end

Redis::Client.prepend LookBeforeAsking
Redis::Connection::Ruby.include ReadableConnection

# Connections to a Redis that takes writes, but for shadows, who have their own. One that has become a replica is left: who
# asks again finds whatever the address leads to by now.
class PrimaryPool < ConnectionPool
  def with(*, &block)
    return Shadow.redis.with(&block) if Shadow.on?

    super do |redis|
      yield redis
    rescue Redis::CommandError => e
      raise unless e.message.include?("READONLY") # a script's error has it somewhere

      redis.close
      raise Redis::ConnectionError, e.message
    end
  end
end

# Refresh tokens, and what the cache is told of writes. A Redis that does not answer costs a request a second for each
# command, and none is sent again by itself: one that was not answered may have been carried out.
REDIS = PrimaryPool.new(size: ENV.fetch("RAILS_MAX_THREADS", 5).to_i, timeout: 1) do
  Redis.new(url: ENV.fetch("REDIS_URL", "redis://127.0.0.1:6379/0"), timeout: 1, reconnect_attempts: 0)
end

# Cache entries. A Redis that does not answer may cost a read 40 ms: then the database is asked, and for a second only
# the database.
CACHE = PrimaryPool.new(size: ENV.fetch("RAILS_MAX_THREADS", 5).to_i, timeout: 0.04) do
  wait = ENV.fetch("CACHE_WAIT", "0.04").to_f
  Redis.new(url: ENV.fetch("REDIS_URL", "redis://127.0.0.1:6379/0"), timeout: wait, reconnect_attempts: 0)
end
