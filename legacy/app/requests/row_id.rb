# frozen_string_literal: true

# The id of a row as clients write it: a positive 64-bit integer, in decimal digits where it is text.
module RowId
  RANGE = (1..(2**63) - 1).freeze

  def self.parse(value)
    value = Integer(value, 10) if value.is_a?(String) && value.match?(/\A[1-9][0-9]*\z/)
    value if value.is_a?(Integer) && RANGE.cover?(value)
  end
end
