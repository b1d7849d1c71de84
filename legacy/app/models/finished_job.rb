# frozen_string_literal: true

# That a job has done its work for a message. Written in the transaction of that work.
class FinishedJob < ApplicationRecord
  belongs_to :message

  validates :job, presence: true
end
