# frozen_string_literal: true

# Unpadded base64url: how cursors look outside.
module OpaqueText
  def self.encode(text)
    Base64.urlsafe_encode64(text, padding: false)
  end

  # nil for what was not encoded here
  def self.decode(text)
    Base64.urlsafe_decode64(text) if text.is_a?(String)
  rescue ArgumentError
    nil
  end
end
