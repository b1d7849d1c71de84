# frozen_string_literal: true

module Facebook
  # By which Facebook shows that a delivery is its own: the HMAC-SHA256 of the body's bytes, under the app's secret.
  module Signature
    # Without a secret nothing can be shown.
    def self.valid?(header, body)
      secret = Rails.configuration.x.facebook.app_secret
      return false if secret.blank?

      signature = "sha256=#{OpenSSL::HMAC.hexdigest('SHA256', secret, body)}"
      ActiveSupport::SecurityUtils.secure_compare(header.to_s.b, signature.b)
    end
  end
end
