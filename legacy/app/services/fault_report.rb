# frozen_string_literal: true

# Tells Sentry of a fault of ours. What people send and write stays here.
module FaultReport
  # An exception's text may quote what somebody wrote, a token, or a URL with a password in it.
  QUOTED = %r{'[^']*'|"[^"]*"|[\w-]{20,}(?:\.[\w-]+)*|://[^\s/@]*@}
  MASK = "[…]"

  # Of the request no more is told than the log says of it too: `RequestLog.context`.
  def self.tell(exception, request)
    Sentry.capture_exception(
      exception,
      tags: request.slice(:request_id, :account_id, :shadow).transform_values(&:to_s),
      user: { id: request[:user_id]&.to_s }.compact,
      hint: { request: { method: request[:method], url: request[:path] } }
    )
  end

  # The event as it is sent.
  def self.scrubbed(event, hint)
    fields = event.to_hash.merge(request: hint[:request])
    fields[:exception][:values].each { |exception| exception[:value] = masked(exception[:value]) }
    fields
  end

  # The first line, without what it quotes: PostgreSQL shows the row that failed in those that follow.
  def self.masked(text)
    text.lines.first.to_s.chomp.gsub(QUOTED, MASK)
  end
  private_class_method :masked
end
