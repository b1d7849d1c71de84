# frozen_string_literal: true

module Auth
  class SessionsController < ApplicationController
    def create
      credentials = LoginRequest.validated(json_body)
      session = Sessions::Create.call(email: credentials.email, password: credentials.password)
      raise ApiError::InvalidCredentials unless session

      render_unstored SessionSerializer.new(session)
    end

    def refresh
      pair = Sessions::Refresh.call(refresh_token: shown_token)
      raise ApiError::RefreshTokenExpired unless pair

      render_unstored TokenPairSerializer.new(pair)
    end

    # Answered alike for a token that was good and one that was not: either way it is none now.
    def destroy
      RefreshToken.revoke(shown_token)
      render_unstored({})
    end

    private

    def shown_token
      RefreshTokenRequest.validated(json_body).refresh_token
    end

    def render_unstored(content)
      response.headers["Cache-Control"] = "no-store"
      render json: content
    end
  end
end
