# frozen_string_literal: true

# Whether a caller may do what it asks for. Roles are not in the token, so that who loses one has lost it at once.
module Authorization
  extend ActiveSupport::Concern

  private

  # For those actions that need more than the token: its user may be gone.
  def current_user
    @current_user ||= in_account(User).find_by(id: claims.user_id) or raise ApiError::Unauthorized
  end

  # Yields in a transaction in which the caller is an admin, and stays one until its end.
  def as_admin
    User.transaction do
      caller = in_account(User).lock("FOR SHARE").find_by(id: claims.user_id) or raise ApiError::Unauthorized
      raise ApiError::Forbidden unless caller.admin?

      yield
    end
  end
end
