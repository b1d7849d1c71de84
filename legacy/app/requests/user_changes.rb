# frozen_string_literal: true

class UserChanges < ChangeRequest
  fields :name, :role

  validates :name, text: { white_space: false, maximum: User::LONGEST_NAME }, if: -> { given?(:name) }
  validates :role, choice: { in: User::ROLES }, if: -> { given?(:role) }
end
