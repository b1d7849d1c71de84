# frozen_string_literal: true

# An answer other than the one that was hoped for: a status, and a body that says which.
class ApiError < StandardError
  class Unauthorized < ApiError; end
  class InvalidCredentials < ApiError; end
  class RefreshTokenExpired < ApiError; end
  class Forbidden < ApiError; end
  class NotFound < ApiError; end
  class UnsupportedMediaType < ApiError; end
  class PayloadTooLarge < ApiError; end
  class MalformedJson < ApiError; end
  class BadRequest < ApiError; end

  # A key that was sent with another request before.
  class IdempotencyKeyReused < ApiError; end

  # A key whose first request is still being answered.
  class IdempotencyKeyInUse < ApiError
    def headers
      { "Retry-After" => "1" }
    end
  end

  class InvalidRequest < ApiError
    # faults: pairs of a field, in the request's own spelling, and what is wrong with it
    def initialize(faults)
      super()
      @faults = faults
    end

    def body
      { errors: @faults.map { |field, message| { field: field, message: message } } }
    end
  end

  STATUSES = {
    Unauthorized => :unauthorized,
    InvalidCredentials => :unauthorized,
    RefreshTokenExpired => :unauthorized,
    Forbidden => :forbidden,
    NotFound => :not_found,
    UnsupportedMediaType => :unsupported_media_type,
    PayloadTooLarge => :payload_too_large,
    IdempotencyKeyReused => :unprocessable_entity,
    IdempotencyKeyInUse => :conflict,
    MalformedJson => :bad_request,
    BadRequest => :bad_request,
    InvalidRequest => :bad_request
  }.freeze

  def status
    STATUSES.fetch(self.class)
  end

  def headers
    {}
  end

  def body
    { error: word }
  end

  def word
    self.class.name.demodulize.underscore
  end
end
