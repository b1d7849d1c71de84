# frozen_string_literal: true

class SessionSerializer
  def initialize(session)
    @session = session
  end

  def as_json(options = nil)
    tokens = TokenPairSerializer.new(@session.pair)
    tokens.as_json(options).merge(user: UserSerializer.new(@session.user).as_json(options))
  end
end
