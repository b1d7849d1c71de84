# frozen_string_literal: true

class TokenPairSerializer
  def initialize(pair)
    @pair = pair
  end

  def as_json(options = nil)
    {
      accessToken: @pair.access_token,
      refreshToken: @pair.refresh_token
    }.as_json(options)
  end
end
