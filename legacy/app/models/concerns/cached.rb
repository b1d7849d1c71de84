# frozen_string_literal: true

# Rows that answers in the cache show: whoever changes one makes those answers untrue.
#
#   forgets { [Cache::Entry.user(id).key] }
#
# What goes past callbacks, such as `update_columns`, must be in one transaction with something that does not, or add to
# Cache::Forgetting itself.
module Cached
  extend ActiveSupport::Concern

  class_methods do
    def forgets(on: %i[update destroy], &keys)
      add = -> { Cache::Forgetting.add(*instance_exec(&keys)) if destroyed? || saved_changes? }
      Array(on).each { |action| public_send("after_#{action}", add) }
    end
  end
end
