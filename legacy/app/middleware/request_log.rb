# frozen_string_literal: true

# Writes one line for each request: who asked for what, and what became of it. Its query string and its headers stay
# out, for they may hold tokens.
class RequestLog
  # Where controllers put what they know: the caller's claims, the word of a fault, and the exception behind it.
  CALLER = "legacy.caller"
  FAULT = "legacy.fault"
  EXCEPTION = "legacy.exception"

  def self.context(env)
    claims = env[CALLER]
    {
      request_id: env["action_dispatch.request_id"],
      method: env["action_dispatch.original_request_method"] || env["REQUEST_METHOD"], # where `Exceptions` answers
      path: env["ORIGINAL_FULLPATH"].partition("?").first,
      user_id: claims&.user_id,
      account_id: claims&.account_id,
      shadow: env.key?(Shadows::MARK) || nil
    }.compact
  end

  def initialize(app)
    @app = app
  end

  def call(env)
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    status, headers, body = @app.call(env)
    write(env, status, Process.clock_gettime(Process::CLOCK_MONOTONIC) - started)
    [status, headers, body]
  end

  private

  def write(env, status, seconds)
    Rails.logger.add(severity(status)) do
      fields = { event: event(status, env), status: status, **self.class.context(env) }
      fields[:duration_ms] = (seconds * 1000).round(1)
      fields[:exception] = ErrorTrace.of(env[EXCEPTION]) if env[EXCEPTION]
      fields
    end
  end

  def event(status, env)
    return "request" if status < 400

    env[FAULT] || Rack::Utils::HTTP_STATUS_CODES.fetch(status).downcase.tr(" ", "_")
  end

  def severity(status)
    case status
    when ..399 then Logger::INFO
    when 400..499 then Logger::WARN
    else Logger::ERROR
    end
  end
end
