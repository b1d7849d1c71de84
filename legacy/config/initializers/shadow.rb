# frozen_string_literal: true

require "action_cable/subscription_adapter/redis"

# Where the thread of a shadow's request (`Shadow`) is led to, and listened to.

if ENV["SHADOW_DATABASE_URL"].present?
  ActiveSupport.on_load(:active_record) do
    address = ActiveRecord::DatabaseConfigurations::ConnectionUrlResolver.new(ENV.fetch("SHADOW_DATABASE_URL")).to_hash
    ours = connection_db_config.configuration_hash.except(:host, :port, :database, :username, :password)
    theirs = {
      shadow: true,
      # Who waits for a connection keeps a thread from users: by default nobody does.
      pool: (ENV["SHADOW_DATABASE_POOL"].presence || ENV.fetch("RAILS_MAX_THREADS", 5)).to_i,
      checkout_timeout: 1,
      # Whoever asked has given up by then, and the thread is wanted by users, who have no such limit.
      variables: {
        default_transaction_read_only: "on",
        statement_timeout: (Rails.configuration.x.shadow.deadline * 1000).ceil # milliseconds
      }
    }
    connection_handler.establish_connection(ours.merge(address, theirs), role: :shadow)
  end
end

# PostgreSQL refuses by errors. Whoever asked, the adapter or somebody who has taken hold of its connection, and whoever
# rescues them: they are made.
module RefusalsMade
  def initialize(*)
    super
    Shadow.note(self)
  end
end

[PG::InsufficientPrivilege, PG::ReadOnlySqlTransaction, PG::QueryCanceled].each { |error| error.prepend RefusalsMade }

# But where somebody fetches results himself, and asks none of them whether it is one.
module ResultsChecked
  def sync_get_result # by which `get_result` fetches, too
    return checked(super) unless block_given?

    super { |result| yield checked(result) }
  end

  private

  def checked(result)
    result&.check if Shadow.on?
    result
  rescue PG::Error
    result
  end
end

PG::Connection.prepend ResultsChecked

# Redis refuses by its replies, be they raised, kept or passed over.
module RefusalsHeard
  def read
    super.tap { |reply| Shadow.note(reply) if reply.is_a?(Redis::CommandError) }
  end
end

Redis::Client.prepend RefusalsHeard

# Jobs.
module ShadowsOwnQueue
  def redis_pool
    Shadow.on? ? Shadow.redis : super
  end
end

Sidekiq.singleton_class.prepend ShadowsOwnQueue

# Broadcasts.
module ShadowsOwnVoice
  def broadcast(channel, payload)
    return super unless Shadow.on?

    Shadow.redis.with { |redis| redis.publish(channel, payload) }
  end
end

ActionCable::SubscriptionAdapter::Redis.prepend ShadowsOwnVoice
