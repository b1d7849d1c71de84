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
    bytes = request.body.read(LONGEST + 1).to_s
    return {} if bytes.empty?

    raise ApiError::UnsupportedMediaType if Rack::MediaType.type(request.get_header("CONTENT_TYPE")) != MEDIA_TYPE
    raise ApiError::PayloadTooLarge if bytes.bytesize > LONGEST

    parse_json(bytes)
  end

  # The body as it was sent, of whatever media type.
  def raw_body
    bytes = request.body.read(LONGEST + 1).to_s
    raise ApiError::PayloadTooLarge if bytes.bytesize > LONGEST

    bytes
  end

  def parse_json(bytes)
    StrictJson.parse(String.new(bytes, encoding: Encoding::UTF_8))
  rescue JSON::ParserError
    raise ApiError::MalformedJson
  end
end
