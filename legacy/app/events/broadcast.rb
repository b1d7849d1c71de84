# frozen_string_literal: true

# Tells those who listen to an ActionCable stream of an event, unless Redis has just been found away.
module Broadcast
  # ActionCable has one connection for all, for which they wait in turn. Who comes after one who has waited in vain for
  # Redis is to know of that.
  TURN = Mutex.new

  def self.call(stream, event)
    TURN.synchronize { Cache::LINK.tell { ActionCable.server.broadcast(stream, event) } }
  end
end
