# frozen_string_literal: true

# Errors that a client can understand, as JSON. What is not listed here is a bug of ours and answered by `Exceptions`.
module ErrorAnswers
  extend ActiveSupport::Concern

  # How PostgreSQL says that it cannot serve now: it is gone, stopping, full, or two waited for each other.
  NOT_NOW = [
    PG::ConnectionBad, PG::UnableToSend, PG::TransactionRollback, PG::InsufficientResources, PG::ProgramLimitExceeded,
    PG::ObjectNotInPrerequisiteState, PG::OperatorIntervention, PG::SystemError
  ].freeze

  included do
    rescue_from ApiError do |error|
      response.headers.merge!(error.headers)
      refuse(error)
    end

    rescue_from ActiveRecord::RecordNotFound do
      refuse(ApiError::NotFound.new)
    end

    rescue_from ActiveRecord::ConnectionNotEstablished, Redis::BaseError, ConnectionPool::TimeoutError,
                with: :unavailable

    rescue_from ActiveRecord::StatementInvalid do |error|
      raise error unless NOT_NOW.any? { |kind| error.cause.is_a?(kind) }

      unavailable(error)
    end
  end

  # A query string is parsed before any handler can rescue.
  def process_action(*)
    super
  rescue ActionController::BadRequest, Rack::QueryParser::QueryLimitError
    request.set_header("action_dispatch.request.query_parameters", {}) # rendering would ask for them again
    refuse(ApiError::BadRequest.new)
  end

  private

  def refuse(error)
    request.set_header(RequestLog::FAULT, error.word)
    render json: error.body, status: error.status
  end

  def unavailable(error)
    request.set_header(RequestLog::EXCEPTION, error)
    render json: { error: "service_unavailable", requestId: request.request_id }, status: :service_unavailable
  end
end
