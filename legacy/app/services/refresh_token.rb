# frozen_string_literal: true

# The random key by which a client gets its next access token; Redis knows whose it is.
module RefreshToken
  LIFETIME = 7.days

  def self.issue(user)
    SecureRandom.urlsafe_base64(32).tap do |token|
      REDIS.with { |redis| redis.set("refresh:token:#{token}", user.id, ex: LIFETIME.to_i) }
    end
  end
end
