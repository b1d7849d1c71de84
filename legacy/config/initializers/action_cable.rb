# frozen_string_literal: true

require "action_cable/subscription_adapter/redis"

# ActionCable 6.1 ends the whole process when the connection to Redis breaks on which it listens. Here it hangs up on
# its clients instead, telling them to come again, and listens anew when they do.
module CableOutlivesRedis
  def listen(*)
    super
  rescue Redis::BaseConnectionError => e
    Rails.logger.error("ActionCable lost Redis and disconnects its clients: #{e.message}")
    @subscription_lock.synchronize { @raw_client = nil }
    @event_loop.post { ActionCable.server.restart } # not from here: it waits for this thread to end
  end
end

ActionCable::SubscriptionAdapter::Redis::Listener.prepend CableOutlivesRedis
