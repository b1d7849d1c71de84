# frozen_string_literal: true

environment ENV.fetch("RAILS_ENV", "production")

bind "tcp://#{ENV.fetch('HOST', '127.0.0.1')}:#{ENV.fetch('PORT', 3000)}"

threads_count = ENV.fetch("RAILS_MAX_THREADS", 5).to_i
threads threads_count, threads_count

workers ENV.fetch("WEB_CONCURRENCY", 2).to_i
preload_app!
