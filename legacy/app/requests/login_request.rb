# frozen_string_literal: true

class LoginRequest < ApplicationRequest
  fields :email, :password

  validates :email, :password, text: true
end
