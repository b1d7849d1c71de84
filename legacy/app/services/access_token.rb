# frozen_string_literal: true

# The signed token that a client shows with each request (JWT, HS256).
module AccessToken
  ALGORITHM = "HS256"
  LIFETIME = 15.minutes

  Claims = Struct.new(:user_id, :account_id)

  module_function

  def issue(user, now: Time.current)
    payload = {
      sub: user.id.to_s,
      account_id: user.account_id,
      iat: now.to_i,
      exp: (now + LIFETIME).to_i,
      jti: SecureRandom.uuid
    }
    JWT.encode(payload, secret, ALGORITHM)
  end

  # The claims of a token that we signed and that has not expired, else nil.
  def verify(token)
    payload, = JWT.decode(token, secret, true, algorithm: ALGORITHM)
    claims(payload) if canonical?(token.rpartition(".").last)
  # The last three: a time beyond all numbers, and a header or payload that is JSON, but no object.
  rescue JWT::DecodeError, FloatDomainError, NoMethodError, TypeError
    nil
  end

  # Whether a signature is written in the one way that its bytes can be. The decoder takes others for the same bytes.
  def canonical?(signature)
    Base64.urlsafe_encode64(Base64.urlsafe_decode64(signature), padding: false) == signature
  rescue ArgumentError
    false
  end
  private_class_method :canonical?

  def claims(payload)
    return unless payload.values_at("iat", "exp").all?(Integer)
    return unless payload.values_at("sub", "jti").all? { |claim| claim.is_a?(String) && claim.present? }
    return unless payload["account_id"].is_a?(Integer)

    claims = Claims.new(RowId.parse(payload["sub"]), RowId.parse(payload["account_id"]))
    claims if claims.all?
  end
  private_class_method :claims

  def secret
    Rails.configuration.x.jwt_secret or raise "JWT_SECRET is not set: no token can be signed or checked"
  end
  private_class_method :secret
end
