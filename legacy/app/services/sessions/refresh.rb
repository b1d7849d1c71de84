# frozen_string_literal: true

module Sessions
  # Goes on with a session: a refresh token for the pair that takes its place.
  class Refresh
    def self.call(**arguments)
      new(**arguments).call
    end

    def initialize(refresh_token:)
      @refresh_token = refresh_token
    end

    def call
      session = RefreshToken.look_up(@refresh_token) or return
      return session.pair if session.pair

      # Before anything is rotated: without PostgreSQL the token stays as good as it was.
      user = User.find_by(id: session.user_id) or return
      RefreshToken.rotate(@refresh_token, TokenPair.issue(user))&.pair
    end
  end
end
