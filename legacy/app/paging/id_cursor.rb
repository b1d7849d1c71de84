# frozen_string_literal: true

# A place in rows that are sorted by id, newest first.
class IdCursor
  ORDER = { id: :desc }.freeze
  FORM = /\A\d+\z/
  IDS = (0..RowId::RANGE.last).freeze

  def self.of(row)
    new(row.id)
  end

  # The cursor that is written so, nil if none is.
  def self.parse(text)
    decoded = OpaqueText.decode(text)
    cursor = new(decoded.to_i) if decoded&.match?(FORM)
    cursor if cursor&.valid? && cursor.to_s == text
  end

  def initialize(id)
    @id = id
  end

  def valid?
    IDS.cover?(@id)
  end

  def rows_behind(relation)
    relation.where("id < ?", @id)
  end

  def to_s
    OpaqueText.encode(@id.to_s)
  end
end
