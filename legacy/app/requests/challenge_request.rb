# frozen_string_literal: true

# What Facebook wants to hear back from an address.
class ChallengeRequest < ApplicationRequest
  fields :challenge

  validates :challenge, text: { white_space: false, maximum: 1_000 }

  private

  def outside(name)
    "hub.#{name}"
  end
end
