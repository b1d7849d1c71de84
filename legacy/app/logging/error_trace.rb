# frozen_string_literal: true

# An exception as text for the log, without the row that PostgreSQL refused: that is what people write to each other.
module ErrorTrace
  MASK = "[…]"

  def self.of(exception)
    text = exception.full_message(highlight: false, order: :top)
    details(exception).reduce(text) { |masked, detail| masked.gsub(detail, MASK) }
  end

  def self.details(exception)
    return [] unless exception

    [*(detail(exception) if exception.is_a?(PG::Error)), *details(exception.cause)]
  end

  # Of a result that somebody has cleared only the text is left.
  def self.detail(error)
    return error.message[/^DETAIL:.*/m] if error.result&.cleared?

    error.result&.error_field(PG::Result::PG_DIAG_MESSAGE_DETAIL)
  end
  private_class_method :details, :detail
end
