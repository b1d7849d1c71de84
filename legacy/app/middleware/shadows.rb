# frozen_string_literal: true

# Tells the requests of shadows from those of users, and lets no shadow that wrote pass for one that did not.
class Shadows
  MARK = "HTTP_X_STRANGLER_SHADOW"
  WORD = "X-Strangler-Shadow"
  WROTE = "wrote"
  REFUSED = "refused"

  # Bytes of an answer. Of what is compared the proxy takes far less (`shadow.body`), and breaks off the rest.
  MOST = 8 * 1024 * 1024

  AFTER_REPLY = "rack.after_reply"
  HIJACK = "rack.hijack"

  def initialize(app)
    @app = app
  end

  def call(env)
    return @app.call(env) unless env.key?(MARK)
    raise Shadow::Refused, "as many shadows are under way as SHADOW_CONCURRENCY says" if env.key?(ShadowPlaces::FULL)

    answer, attempts = Shadow.watch { to_its_end(env) }
    attempts.empty? ? answer : wrote(env, attempts.first)
  rescue Shadow::Refused => e
    failure(env, e, 503, REFUSED)
  end

  private

  # With what the server would do of it afterwards, and as a user's: a body may be made while it is sent, and what is
  # to follow it is done once it is.
  def to_its_end(env)
    till = Process.clock_gettime(Process::CLOCK_MONOTONIC) + Rails.configuration.x.shadow.deadline
    held = env[AFTER_REPLY]
    env[AFTER_REPLY] = [] if held
    status, headers, body = @app.call(env)
    parts = whole(body, till)
    raise Shadow::Refused, "the answer takes the connection for itself" if headers.key?(HIJACK)

    follow(env[AFTER_REPLY])
    [status, headers, parts]
  ensure
    env[AFTER_REPLY] = held if held
  end

  def whole(body, till)
    parts, size = [], 0
    body.each do |part|
      parts << part
      size += part.bytesize
      raise Shadow::Refused, "the answer has more than #{MOST} bytes" if size > MOST

      late = Process.clock_gettime(Process::CLOCK_MONOTONIC) >= till
      raise Shadow::Refused, "the answer takes longer than SHADOW_DEADLINE" if late
    end
    parts
  ensure
    body.close if body.respond_to?(:close)
  end

  def follow(blocks)
    blocks&.each(&:call)
  rescue Shadow::Refused
    raise
  rescue StandardError # puma passes over them, too: the answer is sent
    nil
  end

  def wrote(env, attempt)
    FaultReport.tell(attempt, RequestLog.context(env))
    failure(env, attempt, 500, WROTE)
  end

  def failure(env, error, status, word)
    env[RequestLog::EXCEPTION] = error
    env.delete(RequestLog::FAULT) # whatever the controller made of it
    fault = Rack::Utils::HTTP_STATUS_CODES.fetch(status).downcase.tr(" ", "_")
    body = { error: fault, requestId: env["action_dispatch.request_id"] }
    headers = { "Content-Type" => "application/json; charset=utf-8", WORD => word }
    ActionDispatch::Response.create(status, headers, [body.to_json]).to_a
  end
end
