# frozen_string_literal: true

class UnknownRoutesController < ApplicationController
  def show
    raise ApiError::NotFound
  end
end
