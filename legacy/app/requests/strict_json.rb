# frozen_string_literal: true

# JSON as RFC 8259 has it. Ruby's parser also takes comments and unknown escapes, and garbles halves of surrogate pairs.
module StrictJson
  ESCAPE = %r{\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])\h{4}|u[dD][89abAB]\h{2}\\u[dD][c-fC-F]\h{2})}
  STRING = /"[^"\\]*+(?:#{ESCAPE}[^"\\]*+)*+"/

  def self.parse(text)
    raise JSON::ParserError, "not UTF-8" unless text.valid_encoding?
    raise JSON::ParserError, "a comment or an unknown escape" if text.gsub(STRING, "").match?(%r{["\\/]})

    JSON.parse(text)
  end
end
