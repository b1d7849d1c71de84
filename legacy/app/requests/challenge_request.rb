# frozen_string_literal: true

# What Facebook wants to hear back from an address.
class ChallengeRequest < ApplicationRequest
  LONGEST = 1_000

  fields :challenge

  validates :challenge, text: { white_space: false, maximum: LONGEST }

  private

  def outside(name)
    "hub.#{name}"
  end
end
