# frozen_string_literal: true

module Accounts
  # Merges settings into those that there are; null takes one back.
  class UpdateSettings
    def self.call(...)
      new(...).call
    end

    def initialize(account, changes)
      @account = account
      @set, @taken_back = changes.transform_keys { |name| name.to_s.camelize(:lower) }
                                 .partition { |_, value| !value.nil? }.map(&:to_h)
    end

    # Behind a lock: of two changes at once neither takes the other's back.
    def call
      @account.with_lock("FOR NO KEY UPDATE") do
        @account.update!(settings: @account.settings.except(*@taken_back.keys).merge(@set))
      end
    end
  end
end
