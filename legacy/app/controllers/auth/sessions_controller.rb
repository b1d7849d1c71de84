# frozen_string_literal: true

module Auth
  class SessionsController < ApplicationController
    def create
      credentials = LoginRequest.validated(json_body)
      session = Sessions::Create.call(email: credentials.email, password: credentials.password)
      raise ApiError::InvalidCredentials unless session

      response.headers["Cache-Control"] = "no-store"
      render json: SessionSerializer.new(session)
    end
  end
end
