# frozen_string_literal: true

# What a client wants changed: the fields that are given, be it as null. The others stay as they are.
class ChangeRequest < ApplicationRequest
  def initialize(values)
    super
    @given = self.class.field_names.select { |name| values.key?(outside(name)) }
  end

  def given?(name)
    @given.include?(name)
  end

  def changes
    @given.index_with { |name| public_send(name) }
  end
end
