# frozen_string_literal: true

# Errors that a client can understand, as JSON. What is not listed here is a bug of ours and answered by `Exceptions`.
module ErrorAnswers
  extend ActiveSupport::Concern

  included do
    rescue_from ApiError do |error|
      render json: error.body, status: error.status
    end

    rescue_from ActiveRecord::RecordNotFound do
      render json: ApiError::NotFound.new.body, status: :not_found
    end

    rescue_from ActiveRecord::ConnectionNotEstablished, Redis::BaseConnectionError, with: :unavailable

    rescue_from ActiveRecord::StatementInvalid do |error|
      # How the adapter reports a server that went away while it was asked.
      raise error unless error.cause.is_a?(PG::ConnectionBad) || error.cause.is_a?(PG::UnableToSend) ||
                         error.cause.is_a?(PG::OperatorIntervention)

      unavailable(error)
    end
  end

  # A query string is parsed before any handler can rescue.
  def process_action(*)
    super
  rescue ActionController::BadRequest, Rack::QueryParser::QueryLimitError
    request.set_header("action_dispatch.request.query_parameters", {}) # rendering would ask for them again
    render json: ApiError::BadRequest.new.body, status: :bad_request
  end

  private

  def unavailable(error)
    logger.error("request_id=#{request.request_id} #{error.class}: #{error.message}")
    render json: { error: "service_unavailable", requestId: request.request_id }, status: :service_unavailable
  end
end
