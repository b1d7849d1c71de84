# frozen_string_literal: true

# Creates that may be asked again: under the same `Idempotency-Key` a user gets the same answer for a day, and what was
# created is not created twice. Without the header every request is a new one.
module Idempotency
  extend ActiveSupport::Concern

  LONGEST = 255
  KEY = /\A[\x21-\x7e]+\z/n

  included do
    before_action :check_idempotency_key, only: :create
  end

  private

  # Renders what the block returns, or what was answered to this user's key before. A block that raises keeps nothing.
  def render_once(operation, draft, status:)
    return render(json: yield, status: status) unless idempotency_key

    answer = IdempotencyKey.once(
      account_id: claims.account_id,
      user_id: claims.user_id,
      key: idempotency_key,
      fingerprint: Digest::SHA256.hexdigest([operation, *draft.values].to_json)
    ) { [Rack::Utils.status_code(status), yield.to_json] }
    response.headers["Idempotent-Replayed"] = "true" if answer.replayed?
    render json: answer.body, status: answer.status
  end

  def idempotency_key
    request.headers["Idempotency-Key"]&.gsub(/\A[ \t]+|[ \t]+\z/, "")
  end

  def check_idempotency_key
    return unless (key = idempotency_key&.b)

    fault = if key.empty? then "can't be blank"
            elsif key.length > LONGEST then "is too long (maximum is #{LONGEST} characters)"
            elsif !key.match?(KEY) then "is invalid"
            end
    raise ApiError::InvalidRequest, [["Idempotency-Key", fault]] if fault
  end
end
