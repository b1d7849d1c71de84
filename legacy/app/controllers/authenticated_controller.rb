# frozen_string_literal: true

# What every controller of the API proper starts from: a caller, and rows of the caller's account only.
class AuthenticatedController < ApplicationController
  include Authentication
  include AccountScope
  include CachedAnswers
  include Authorization
end
