# frozen_string_literal: true

# The parameters of a page. Values come as text from the query string; an empty one counts as absent.
class PageRequest < ApplicationRequest
  LIMITS = (1..100).to_h { |limit| [limit.to_s, limit] }.freeze
  DEFAULT_LIMIT = "25"

  class_attribute :cursor_class

  def initialize(values)
    super(values.reject { |_, value| value == "" })
  end

  def page_size
    LIMITS[limit || DEFAULT_LIMIT]
  end

  # The first page, of the size that nobody asked for.
  def default?
    page_size == LIMITS[DEFAULT_LIMIT] && cursor.nil?
  end

  def after
    cursor && cursor_class.parse(cursor)
  end

  private

  def limit_is_in_range
    errors.add(:limit, "must be an integer between 1 and 100") unless page_size
  end

  def cursor_is_readable
    errors.add(:cursor, :invalid) if cursor && !after
  end
end
