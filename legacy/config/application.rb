# frozen_string_literal: true

require_relative "boot"

require "rails"
require "active_model/railtie"
require "active_record/railtie"
require "active_job/railtie" # brings global ids, by which ActionCable names a connection
require "action_controller/railtie"
require "action_cable/engine"

Bundler.require(*Rails.groups)

require_relative "../app/middleware/exceptions"
require_relative "../app/middleware/request_log"

module Legacy
  class Application < Rails::Application
    config.load_defaults 6.1
    config.api_only = true
    config.time_zone = "UTC"
    config.cache_store = :null_store

    config.exceptions_app = Exceptions.new
    config.middleware.swap Rails::Rack::Logger, RequestLog
    config.middleware.delete Rack::Runtime # durations are for the log

    # Browsers of other origins than our own host must be listed, separated by commas.
    config.action_cable.allowed_request_origins = ENV.fetch("CABLE_ALLOWED_ORIGINS", "").split(",")

    config.log_level = ENV.fetch("LOG_LEVEL", "info").to_sym
    config.logger = ActiveSupport::Logger.new($stdout).tap { |logger| logger.formatter = Logger::Formatter.new }

    # How the conversation list is loaded: row by row, as it always was, or in a fixed number of queries.
    config.x.eager_conversations = ENV["EAGER"] == "1"
    config.x.jwt_secret = ENV["JWT_SECRET"]
  end
end
