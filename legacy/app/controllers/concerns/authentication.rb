# frozen_string_literal: true

# Asks for a bearer token and trusts it alone: no row is read.
module Authentication
  extend ActiveSupport::Concern

  BEARER = /\ABearer +(?<token>[\w-]+\.[\w-]+\.[\w-]+)\z/i

  included do
    attr_reader :claims
    before_action :authenticate
  end

  private

  def authenticate
    header = request.headers["Authorization"].to_s
    @claims = AccessToken.verify(BEARER.match(header)&.[](:token)) or raise ApiError::Unauthorized
    request.set_header(RequestLog::CALLER, claims)
  end
end
