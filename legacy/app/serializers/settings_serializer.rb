# frozen_string_literal: true

# An account's settings, all that there may be: one that is not set is null.
class SettingsSerializer
  def initialize(account)
    @account = account
  end

  def as_json(options = nil)
    Account::SETTINGS.index_with { |name| @account.settings[name] }.as_json(options)
  end
end
