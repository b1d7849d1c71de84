# frozen_string_literal: true

module Inboxes
  class Update
    def self.call(inbox, changes)
      inbox.with_lock("FOR NO KEY UPDATE") { inbox.update!(changes) }
    end
  end
end
