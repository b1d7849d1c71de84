# frozen_string_literal: true

# Text that must be given. `white_space: false` also refuses text that is nothing else.
class TextValidator < ActiveModel::EachValidator
  def validate_each(request, field, value)
    if missing?(value) then request.errors.add(field, :blank)
    elsif !value.is_a?(String) then request.errors.add(field, "must be a string")
    elsif value.include?("\0") then request.errors.add(field, :invalid) # PostgreSQL cannot store it
    elsif too_long?(value) then request.errors.add(field, :too_long, count: options[:maximum])
    end
  end

  private

  def missing?(value)
    return value.blank? if options[:white_space] == false && value.is_a?(String)

    value.nil? || value == ""
  end

  def too_long?(value)
    options[:maximum] && value.length > options[:maximum]
  end
end
