# frozen_string_literal: true

# Answers what no controller answered: requests that Rails cannot read, and our own faults, of which Sentry is told.
class Exceptions
  def call(env)
    request = ActionDispatch::Request.new(env)
    status = request.path_info.delete_prefix("/").to_i
    return caller_fault(status) if status < 500

    exception = request.get_header("action_dispatch.exception")
    request.set_header(RequestLog::EXCEPTION, exception)
    FaultReport.tell(exception, RequestLog.context(env))
    answer(500, error: "internal_server_error", requestId: request.request_id)
  end

  private

  def caller_fault(status)
    status = 404 if status == 405 # a method that Rails has never heard of is one that no route has
    answer(status, error: Rack::Utils::HTTP_STATUS_CODES.fetch(status).downcase.tr(" ", "_"))
  end

  def answer(status, body)
    headers = { "Content-Type" => "application/json; charset=utf-8", "Cache-Control" => "no-cache" }
    ActionDispatch::Response.create(status, headers, [body.to_json]).to_a
  end
end
