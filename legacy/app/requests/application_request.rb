# frozen_string_literal: true

# What a client asks, before it is believed. Fields are named in camelCase outside, in snake_case here; unknown ones
# are ignored. A field has at most one fault, the first that its validators find.
class ApplicationRequest
  include ActiveModel::Validations

  class << self
    def fields(*names)
      attr_accessor(*names)

      define_singleton_method(:field_names) { names }
    end

    def validated(values)
      raise ApiError::InvalidRequest, [["", "must be an object"]] unless values.is_a?(Hash)

      request = new(values)
      return request if request.valid?

      raise ApiError::InvalidRequest, request.faults
    end
  end

  def initialize(values)
    self.class.field_names.each { |name| public_send("#{name}=", values[outside(name)]) }
  end

  # In the order in which the fields are declared.
  def values
    self.class.field_names.map { |name| public_send(name) }
  end

  def faults
    errors.map { |error| [outside(error.attribute), error.message] }
  end

  private

  def outside(name)
    name.to_s.camelize(:lower)
  end
end
