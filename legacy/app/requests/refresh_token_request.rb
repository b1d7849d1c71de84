# frozen_string_literal: true

class RefreshTokenRequest < ApplicationRequest
  fields :refresh_token

  validates :refresh_token, text: true
end
