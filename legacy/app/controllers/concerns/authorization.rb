# frozen_string_literal: true

# Whether a caller may do what it asks for. Roles are not in the token, so that who loses one has lost it at once.
module Authorization
  extend ActiveSupport::Concern

  private

  # For those actions that need more than the token: its user may be gone.
  def current_user
    @current_user ||= in_account(User).find_by(id: claims.user_id) or raise ApiError::Unauthorized
  end

  def require_admin
    raise ApiError::Forbidden unless current_user.admin?
  end
end
