# frozen_string_literal: true

module Users
  # Changes a user's name or role: an admin anybody's, an agent its own name.
  class Update
    def self.call(...)
      new(...).call
    end

    def initialize(user, changes, by:)
      @user = user
      @changes = changes
      @caller = by
    end

    def call
      User.transaction do
        lock_both
        raise ApiError::Forbidden unless allowed?

        @user.update!(@changes)
      end
    end

    private

    # In one order, and read as they are then: nobody gives himself back the role that is just being taken from him.
    def lock_both
      [@user, @caller].sort_by(&:id).each { |row| row.lock!("FOR NO KEY UPDATE") }
    end

    def allowed?
      @caller.admin? || (@caller == @user && !@changes.key?(:role))
    end
  end
end
