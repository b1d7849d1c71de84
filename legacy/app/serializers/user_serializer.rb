# frozen_string_literal: true

class UserSerializer
  def initialize(user)
    @user = user
  end

  def as_json(options = nil)
    {
      id: @user.id,
      accountId: @user.account_id,
      email: @user.email,
      name: @user.name,
      role: @user.role
    }.as_json(options)
  end
end
