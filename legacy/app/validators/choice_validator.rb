# frozen_string_literal: true

# One of the values in `in:`. Rails' own inclusion takes a list of such values, too.
class ChoiceValidator < ActiveModel::EachValidator
  def validate_each(request, field, value)
    request.errors.add(field, :inclusion) unless options[:in].include?(value)
  end
end
