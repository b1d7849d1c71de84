# frozen_string_literal: true

# Whether this process serves; neither PostgreSQL nor Redis is asked.
class HealthController < ApplicationController
  def show
    render json: { status: "ok" }
  end
end
