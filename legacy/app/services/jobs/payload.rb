# frozen_string_literal: true

module Jobs
  # A job as it lies in Redis: JSON, unless somebody has put something else there.
  module Payload
    def self.read(text)
      Hash.try_convert(Sidekiq.load_json(text)) || {}
    rescue JSON::ParserError
      {}
    end

    # By which a log names a job. What else it holds may be people's words to each other.
    def self.label(job)
      job.slice("class", "jid")
    end
  end
end
