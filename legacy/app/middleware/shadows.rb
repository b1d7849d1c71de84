# frozen_string_literal: true

# Tells the requests of shadows from those of users, and lets no shadow that wrote pass for one that did not.
class Shadows
  MARK = "HTTP_X_STRANGLER_SHADOW"
  WORD = "X-Strangler-Shadow"
  WROTE = "wrote"
  REFUSED = "refused"

  def initialize(app)
    @app = app
  end

  def call(env)
    return @app.call(env) unless env.key?(MARK)

    answer, attempts = Shadow.watch { @app.call(env) }
    attempts.empty? ? answer : wrote(env, attempts.first)
  rescue Shadow::Refused => e
    failure(env, e, 503, REFUSED)
  end

  private

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
