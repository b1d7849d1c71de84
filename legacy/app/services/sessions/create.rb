# frozen_string_literal: true

module Sessions
  # Signs a user in by e-mail and password.
  class Create
    Session = Struct.new(:user, :pair)

    # Compared against when nobody has that e-mail, so that the time taken does not tell.
    NOBODY = BCrypt::Password.new("$2a$12$nobodyhasthisemailaddewBMoz82OwrzLsLTvUz/cYGQecjjCrFa")
    # bcrypt reads no further: a longer password would be matched by its beginning.
    LONGEST_PASSWORD = 72

    def self.call(**credentials)
      new(**credentials).call
    end

    def initialize(email:, password:)
      @email = User.normalize_email(email)
      @password = password
    end

    def call
      user = User.find_by(email: @email)
      return unless matches?(user)

      pair = TokenPair.issue(user)
      RefreshToken.keep(pair.refresh_token, user)
      user.update_columns(last_sign_in_at: Time.current) # signing in is no edit: updated_at stays
      Session.new(user, pair)
    end

    private

    def matches?(user)
      digest = user ? BCrypt::Password.new(user.password_digest) : NOBODY
      equal = digest.is_password?(@password)
      equal && user.present? && @password.bytesize <= LONGEST_PASSWORD
    end
  end
end
