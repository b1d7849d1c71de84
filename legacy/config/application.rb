# frozen_string_literal: true

require_relative "boot"

require "rails"
require "active_model/railtie"
require "active_record/railtie"
require "active_job/railtie" # brings global ids, by which ActionCable names a connection
require "action_controller/railtie"
require "action_cable/engine"

Bundler.require(*Rails.groups)

require_relative "../app/logging/json_lines"
require_relative "../app/middleware/exceptions"
require_relative "../app/middleware/request_log"
require_relative "../app/middleware/shadow_places"
require_relative "../app/middleware/shadow_role"
require_relative "../app/middleware/shadows"

module Legacy
  class Application < Rails::Application
    config.load_defaults 6.1
    config.api_only = true
    config.time_zone = "UTC"
    config.cache_store = :null_store

    config.exceptions_app = Exceptions.new
    config.middleware.swap Rails::Rack::Logger, RequestLog
    config.middleware.delete Rack::Runtime # durations are for the log
    config.middleware.use Shadows
    config.middleware.insert_before ActionDispatch::ShowExceptions, ShadowPlaces
    config.middleware.insert_before ActionDispatch::ShowExceptions, ShadowRole

    # Browsers of other origins than our own host must be listed, separated by commas.
    config.action_cable.allowed_request_origins = ENV.fetch("CABLE_ALLOWED_ORIGINS", "").split(",")

    config.log_level = ENV.fetch("LOG_LEVEL", "info").to_sym
    $stdout.sync = true # what was logged is there when the process dies; puma sees to that itself, Sidekiq does not
    config.logger = ActiveSupport::Logger.new($stdout).tap { |logger| logger.formatter = JsonLines.new }

    # How the conversation list is loaded: row by row, as it always was, or in a fixed number of queries.
    config.x.eager_conversations = ENV["EAGER"] == "1"
    config.x.jwt_secret = ENV["JWT_SECRET"]

    # Seconds for which a look into what the cache was not told of counts. Native has the same.
    config.x.cache.look = 0.5

    # Seconds that a shadow's statement may take, and its answer where that is made while it is read.
    config.x.shadow.deadline = (ENV["SHADOW_DEADLINE"].presence || 5).to_f

    # Without the secret no webhook is believed, without the token no address is confirmed.
    config.x.facebook.app_secret = ENV["FACEBOOK_APP_SECRET"]
    config.x.facebook.verify_token = ENV["FACEBOOK_VERIFY_TOKEN"]
    config.x.facebook.graph_url = ENV.fetch("GRAPH_URL", "https://graph.facebook.com/v19.0")
    config.x.facebook.graph_timeout = ENV.fetch("GRAPH_TIMEOUT", "10").to_f # seconds, of each step of a call
  end
end
