# frozen_string_literal: true

redis = { url: ENV.fetch("REDIS_URL", "redis://127.0.0.1:6379/0"), network_timeout: 1 }

# A job whose receipt was lost may be in the queue: pushed again it would be there twice.
Sidekiq.configure_client { |config| config.redis = redis.merge(reconnect_attempts: 0) }
Sidekiq.configure_server { |config| config.redis = redis }
