# frozen_string_literal: true

class PageSerializer
  def initialize(page, row_serializer)
    @page = page
    @row_serializer = row_serializer
  end

  def as_json(options = nil)
    {
      data: @page.rows.map { |row| @row_serializer.new(row) },
      meta: { nextCursor: @page.next_cursor }
    }.as_json(options)
  end
end
