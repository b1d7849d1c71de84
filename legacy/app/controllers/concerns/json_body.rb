# frozen_string_literal: true

# The body of a request, read when an action asks for it. Rails would parse it before the first callback,
# and so tell a stranger that his JSON is broken before asking who he is.
module JsonBody
  extend ActiveSupport::Concern

  MEDIA_TYPE = "application/json"
  LONGEST = 1.megabyte

  def process_action(*)
    request.request_parameters = {}
    super
  end

  private

  # Nothing is wrapped here, and Rails would stumble over a malformed media type while finding that out.
  def _wrapper_enabled?
    false
  end

  def json_body
    text = String.new(request.body.read(LONGEST + 1).to_s, encoding: Encoding::UTF_8)
    return {} if text.empty?

    raise ApiError::UnsupportedMediaType if Rack::MediaType.type(request.get_header("CONTENT_TYPE")) != MEDIA_TYPE
    raise ApiError::PayloadTooLarge if text.bytesize > LONGEST

    StrictJson.parse(text)
  rescue JSON::ParserError
    raise ApiError::MalformedJson
  end
end
