# frozen_string_literal: true

# Null takes a setting back.
class SettingsChanges < ChangeRequest
  fields :locale, :timezone, :auto_reply

  validates :locale, choice: { in: Account::LOCALES }, allow_nil: true
  validates :timezone, choice: { in: Account::TIMEZONES }, allow_nil: true
  validate :auto_reply_is_a_boolean

  private

  def auto_reply_is_a_boolean
    errors.add(:auto_reply, "must be a boolean") unless [nil, true, false].include?(auto_reply)
  end
end
