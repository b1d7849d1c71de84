# frozen_string_literal: true

# A request that compares us with the other side: it may only read, and is answered for if it tries more
# (docs/contract.md).
#
# Its thread reaches PostgreSQL as a role that may SELECT, Redis as a user that may read, and nothing else. What they refuse
# is noted, whoever rescues the error: such an answer is none that a user would have got. How its thread is led there, and
# listened to, stands in config/initializers/shadow.rb; what keeps it there, and the threads that it starts, in
# config/initializers/shadow_bounds.rb.
module Shadow
  # It would have changed something, or told of something.
  class Forbidden < StandardError; end

  # There is nothing that a shadow could be answered with, now or ever: nothing is said of how a user would fare.
  class Refused < StandardError; end

  # How Redis refuses a command, and one of a script (6 and 7.0, 7.2).
  REFUSALS = /NOPERM|The user executing the script can't run|ACL failure in script/

  class << self
    def on?
      !attempts.nil?
    end

    # What the block returns, nil if it fails of what it tried in vain, and that.
    def watch
      raise Refused, "set SHADOW_DATABASE_URL and SHADOW_REDIS_URL" unless configured?

      tried = []
      begin
        answer = as_shadow(tried) { Role.prove && yield }
      rescue StandardError
        raise if tried.empty?
      end
      written = tried.reject { |error| late?(error) }
      raise Refused, "a statement takes longer than SHADOW_DEADLINE" if written.empty? && tried.any?

      [answer, written]
    end

    # The block, to be run by another thread, which then runs it for the shadow at hand, if there is one.
    def carried(block)
      tried = attempts
      return block if tried.nil? || block.nil?

      proc { |*arguments, **options| as_shadow(tried) { block.call(*arguments, **options) } }
    end

    # What serves everybody, though it is a shadow that has set it going.
    def aside
      held, self.attempts = attempts, nil
      yield
    ensure
      self.attempts = held
    end

    # PostgreSQL or Redis has answered with this error.
    def note(error)
      attempts << error if on? && (late?(error) || refusal?(error))
    end

    # What leads out of here by another way.
    def forbid(what)
      return unless on?

      attempts << Forbidden.new("#{what}, from a shadow")
      raise attempts.last
    end

    def redis
      @redis ||= ConnectionPool.new(size: ENV.fetch("RAILS_MAX_THREADS", 5).to_i, timeout: 1) do
        url = ENV.fetch("SHADOW_REDIS_URL")
        Redis.new(url: url, timeout: 1, reconnect_attempts: 0, shadow: true).tap { |redis| aside { User.prove(redis) } }
      end
    end

    private

    # Of the thread, whichever fiber it runs.
    def attempts
      Thread.current.thread_variable_get(:shadow_attempts)
    end

    def attempts=(tried)
      Thread.current.thread_variable_set(:shadow_attempts, tried)
    end

    # A role that the block puts on top (`connecting_to`) would be left to whomever the thread serves next.
    def as_shadow(tried)
      held, self.attempts = attempts, tried
      roles = ActiveRecord::Base.connected_to_stack
      depth = roles.size
      ActiveRecord::Base.connected_to(role: :shadow) { giving_back { yield } }
    ensure
      roles&.slice!(depth..)
      self.attempts = held
    end

    # The connection that the block is the first to take, if it takes one: there are few.
    def giving_back
      pool = ActiveRecord::Base.connection_pool
      taken = pool.active_connection?
      yield
    ensure
      pool&.release_connection unless taken
    end

    def configured?
      ENV["SHADOW_DATABASE_URL"].present? && ENV["SHADOW_REDIS_URL"].present?
    end

    # Users' statements have all the time they need.
    def late?(error)
      error.is_a?(PG::QueryCanceled)
    end

    def refusal?(error)
      case error
      when PG::InsufficientPrivilege, PG::ReadOnlySqlTransaction then true
      when Redis::CommandError then error.message.match?(REFUSALS)
      end
    end
  end
end
