# frozen_string_literal: true

require "net/http"

module Facebook
  # Facebook's Graph API, as a page uses it.
  class Graph
    class Error < StandardError; end

    # The page's token is no good, and will not be again.
    class TokenRefused < Error; end

    # This message will not be taken, however often it is sent.
    class MessageRefused < Error; end

    # Not now. Whether the message was taken is not known: it may be the answer that was lost.
    class TryLater < Error
      attr_reader :seconds

      # seconds: for how long Facebook wants to be left alone, if it said so
      def initialize(message, seconds: 0)
        super(message)
        @seconds = seconds
      end
    end

    # Facebook's numbers for a token that is no good, and for too many requests. The status does not always tell.
    TOKEN_CODES = [190].freeze
    LIMIT_CODES = [4, 32, 613].freeze
    LONGEST_WAIT = 1.day.to_i # as long as Messenger lets a page answer
    LOST = [Timeout::Error, SystemCallError, SocketError, IOError, OpenSSL::SSL::SSLError, Net::ProtocolError,
            Net::HTTPBadResponse, Zlib::Error].freeze

    def initialize(page_token, settings: Rails.configuration.x.facebook)
      @page_token = page_token
      @uri = URI("#{settings.graph_url}/me/messages")
      @timeout = settings.graph_timeout
    end

    # Facebook's id of the message.
    def send_text(recipient_id:, text:)
      body = { recipient: { id: recipient_id }, messaging_type: "RESPONSE", message: { text: text } }
      response = post(body.to_json)
      answer = object(response.body)
      id = answer["message_id"] if response.is_a?(Net::HTTPSuccess)
      id.presence || raise(failure(response, answer))
    rescue *LOST => e
      raise TryLater, "#{e.class}: #{e.message}"
    end

    private

    def post(body)
      headers = { "Authorization" => "Bearer #{@page_token}", "Content-Type" => "application/json" }
      options = { use_ssl: @uri.scheme == "https", max_retries: 0,
                  open_timeout: @timeout, read_timeout: @timeout, write_timeout: @timeout }
      Net::HTTP.start(@uri.host, @uri.port, options) { |http| http.post(@uri.path, body, headers) }
    end

    def object(json)
      parsed = JSON.parse(json.to_s)
      parsed.is_a?(Hash) ? parsed : {}
    rescue JSON::ParserError
      {}
    end

    def failure(response, answer)
      code = answer["error"]["code"] if answer["error"].is_a?(Hash)
      told = "Graph answered #{response.code}, code #{code.inspect}"
      case response.code.to_i
      when 429, 500.. then TryLater.new(told, seconds: seconds_to_wait(response["Retry-After"]))
      when 401 then TokenRefused.new(told)
      when 400..499 then refusal(code).new(told)
      else TryLater.new(told)
      end
    end

    def refusal(code)
      case code
      when *TOKEN_CODES then TokenRefused
      when *LIMIT_CODES then TryLater
      else MessageRefused
      end
    end

    # Retry-After is a number of seconds or a date (RFC 9110, section 10.2.3).
    def seconds_to_wait(retry_after)
      seconds = Integer(retry_after, 10, exception: false) if retry_after
      seconds ||= (Time.httpdate(retry_after.to_s) - Time.current).ceil
      seconds.clamp(0, LONGEST_WAIT)
    rescue ArgumentError
      0
    end
  end
end
