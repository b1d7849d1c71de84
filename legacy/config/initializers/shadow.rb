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
      variables: { default_transaction_read_only: "on" }
    }
    connection_handler.establish_connection(ours.merge(address, theirs), role: :shadow)
  end
end

ActiveSupport::Notifications.subscribe("sql.active_record") do |_, _, _, _, payload|
  Shadow.note(payload[:exception_object]) if payload[:exception_object]
end

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
