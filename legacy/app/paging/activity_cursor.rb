# frozen_string_literal: true

# A place in conversations that are sorted by their last activity, newest first.
class ActivityCursor
  ORDER = { last_activity_at: :desc, id: :desc }.freeze
  FORM = /\A(?<microseconds>\d+):(?<id>\d+)\z/
  MICROSECONDS = (0...Time.utc(10_000).to_i * 1_000_000).freeze

  def self.of(conversation)
    time = conversation.last_activity_at
    new((time.to_i * 1_000_000) + time.usec, conversation.id)
  end

  # The cursor that is written so, nil if none is.
  def self.parse(text)
    match = FORM.match(OpaqueText.decode(text))
    cursor = new(match[:microseconds].to_i, match[:id].to_i) if match
    cursor if cursor&.valid? && cursor.to_s == text
  end

  def initialize(microseconds, id)
    @microseconds = microseconds
    @id = id
  end

  def valid?
    MICROSECONDS.cover?(@microseconds) && IdCursor::IDS.cover?(@id)
  end

  def rows_behind(relation)
    relation.where("(last_activity_at, id) < (?, ?)", Time.at(0, @microseconds, :usec).utc, @id)
  end

  def to_s
    OpaqueText.encode("#{@microseconds}:#{@id}")
  end
end
