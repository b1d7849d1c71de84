# frozen_string_literal: true

class ApplicationController < ActionController::API
  include ErrorAnswers
  include JsonBody
end
