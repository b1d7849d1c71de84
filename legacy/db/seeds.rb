# frozen_string_literal: true

require_relative "seeds/demo"

# Everything in the database is replaced: never by accident where real data may be.
ActiveRecord::Tasks::DatabaseTasks.check_protected_environments! if Account.exists?
Seeds::Demo.new.call
