# frozen_string_literal: true

# Writes one JSON object a line: what is logged is a hash of its fields, or the text of an event.
class JsonLines < Logger::Formatter
  LEVELS = { "WARN" => "warning", "FATAL" => "critical" }.freeze

  def call(severity, time, _program, message)
    fields = message.is_a?(Hash) ? message : { event: msg2str(message) }
    level = LEVELS.fetch(severity, severity.downcase)
    "#{fields.merge(level: level, timestamp: time.utc.iso8601(6)).to_json}\n"
  end
end
