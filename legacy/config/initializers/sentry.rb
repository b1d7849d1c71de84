# frozen_string_literal: true

# Off without a DSN. Events are sent by a thread of the SDK's, from a queue of 30; those that find it full are dropped.
if ENV["SENTRY_DSN"].present?
  Sentry.init do |config|
    config.dsn = ENV["SENTRY_DSN"]
    config.environment = ENV.fetch("SENTRY_ENVIRONMENT", "production")
    config.logger = Rails.logger
    config.background_worker_threads = 1
    config.before_send = FaultReport.method(:scrubbed)
    # Of all that the SDK could tell, only faults: no requests, sessions, counts or lists of gems.
    config.auto_session_tracking = false
    config.propagate_traces = false
    config.send_client_reports = false
    config.send_modules = false
  end
end
