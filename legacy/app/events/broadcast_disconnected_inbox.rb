# frozen_string_literal: true

# Tells an account that one of its inboxes has lost its page.
module BroadcastDisconnectedInbox
  def self.call(inbox)
    event = { event: "inbox.disconnected", data: InboxSerializer.new(inbox) }
    Broadcast.call("account:#{inbox.account_id}", event)
  end
end
