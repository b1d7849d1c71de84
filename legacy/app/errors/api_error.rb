# frozen_string_literal: true

# An answer other than the one that was hoped for: a status, and a body that says which.
class ApiError < StandardError
  class Unauthorized < ApiError; end
  class InvalidCredentials < ApiError; end
  class NotFound < ApiError; end
  class UnsupportedMediaType < ApiError; end
  class PayloadTooLarge < ApiError; end
  class MalformedJson < ApiError; end
  class BadRequest < ApiError; end

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
    NotFound => :not_found,
    UnsupportedMediaType => :unsupported_media_type,
    PayloadTooLarge => :payload_too_large,
    MalformedJson => :bad_request,
    BadRequest => :bad_request,
    InvalidRequest => :bad_request
  }.freeze

  def status
    STATUSES.fetch(self.class)
  end

  def body
    { error: self.class.name.demodulize.underscore }
  end
end
