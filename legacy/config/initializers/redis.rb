# frozen_string_literal: true

Redis.silence_deprecations = true

# Refresh tokens and cache entries. A Redis that does not answer costs a request a second, not its life.
REDIS = ConnectionPool.new(size: ENV.fetch("RAILS_MAX_THREADS", 5).to_i, timeout: 1) do
  Redis.new(url: ENV.fetch("REDIS_URL", "redis://127.0.0.1:6379/0"), timeout: 1, reconnect_attempts: 1)
end
