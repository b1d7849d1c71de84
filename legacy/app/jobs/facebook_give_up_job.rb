# frozen_string_literal: true

# Notes that a message will not reach its contact. A job of its own, which is tried again: when the last attempt to send
# has failed, so may what is to note that.
class FacebookGiveUpJob
  include Sidekiq::Worker

  def perform(message_id)
    Facebook::Deliver.give_up(message_id)
  end
end
