# frozen_string_literal: true

module Webhooks
  # Where Facebook tells what people wrote to the pages of our inboxes.
  class FacebookController < ApplicationController
    # Facebook asks once whether this address is ours.
    def show
      asked = request.query_parameters
      raise ApiError::Forbidden unless asked["hub.mode"] == "subscribe" && token?(asked["hub.verify_token"])

      render plain: ChallengeRequest.validated({ "hub.challenge" => asked["hub.challenge"] }).challenge
    end

    # Facebook waits for the answer, and comes again without it: the work is a job's.
    def create
      body = raw_body
      raise ApiError::Unauthorized unless Facebook::Signature.valid?(request.headers["X-Hub-Signature-256"], body)

      entries = entries_of(parse_json(body))
      FacebookWebhookJob.perform_async(entries) unless entries.empty?
      render json: { status: "received" }
    rescue JSON::JSONError # a number beyond all others: read as infinity, it cannot be written into a job
      raise ApiError::MalformedJson
    end

    private

    # One for each page, with its events.
    def entries_of(delivery)
      raise ApiError::InvalidRequest, [["", "must be an object"]] unless delivery.is_a?(Hash)

      delivery["entry"].is_a?(Array) ? delivery["entry"] : []
    end

    def token?(shown)
      token = Rails.configuration.x.facebook.verify_token
      token.present? && shown.is_a?(String) && ActiveSupport::SecurityUtils.secure_compare(shown.b, token.b)
    end
  end
end
