# frozen_string_literal: true

# An integer that must be given, as JSON writes one: neither 1.0 nor "1".
class IntegerValidator < ActiveModel::EachValidator
  def validate_each(request, field, value)
    if value.nil? then request.errors.add(field, :blank)
    elsif !value.is_a?(Integer) then request.errors.add(field, "must be an integer")
    end
  end
end
