# frozen_string_literal: true

# Some rows of a relation in a cursor's order, and the cursor of the next ones if there are any.
class Page
  def initialize(relation, cursor_class, after:, size:)
    @cursor_class = cursor_class
    @size = size
    relation = after.rows_behind(relation) if after
    # One row more than asked tells whether there is a next page.
    @found = relation.order(cursor_class::ORDER).limit(size + 1).to_a
  end

  def rows
    @rows ||= @found.first(@size)
  end

  def next_cursor
    @cursor_class.of(rows.last).to_s if @found.size > @size
  end
end
