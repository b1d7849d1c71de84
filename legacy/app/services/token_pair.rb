# frozen_string_literal: true

# What a refresh hands out: the token to show with each request, and the one to get the next pair by.
TokenPair = Struct.new(:access_token, :refresh_token) do
  def self.issue(user)
    new(AccessToken.issue(user), RefreshToken.generate)
  end

  # From the JSON that a client is shown.
  def self.parse(json)
    new(*JSON.parse(json).values_at("accessToken", "refreshToken"))
  end
end
