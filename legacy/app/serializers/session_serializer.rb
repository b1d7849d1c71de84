# frozen_string_literal: true

class SessionSerializer
  def initialize(session)
    @session = session
  end

  def as_json(options = nil)
    {
      accessToken: @session.access_token,
      refreshToken: @session.refresh_token,
      user: UserSerializer.new(@session.user)
    }.as_json(options)
  end
end
