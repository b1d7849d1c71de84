# frozen_string_literal: true

# Writes one line for each request, without its query string: that may hold a token.
class RequestLog
  def initialize(app)
    @app = app
  end

  def call(env)
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    path = env["PATH_INFO"]
    status, headers, body = @app.call(env)
    write(env, path, status, Process.clock_gettime(Process::CLOCK_MONOTONIC) - started)
    [status, headers, body]
  end

  private

  def write(env, path, status, seconds)
    Rails.logger.add(severity(status)) do
      "method=#{env['REQUEST_METHOD']} path=#{path} status=#{status} " \
        "duration_ms=#{(seconds * 1000).round(1)} request_id=#{env['action_dispatch.request_id']}"
    end
  end

  def severity(status)
    case status
    when ..399 then Logger::INFO
    when 400..499 then Logger::WARN
    else Logger::ERROR
    end
  end
end
