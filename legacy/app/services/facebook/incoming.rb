# frozen_string_literal: true

module Facebook
  # A message that somebody wrote to a page, as a delivery tells of it.
  Incoming = Struct.new(:page_id, :sender_id, :mid, :content, keyword_init: true) do
    class << self
      # The messages among the events of a delivery, in its order. Others (receipts, postbacks) are not for us, and an
      # echo is a message of our own.
      def all_in(entries)
        hashes(entries).flat_map do |entry|
          hashes(entry["messaging"]).filter_map { |event| read(entry["id"], event) }
        end
      end

      private

      def read(page_id, event)
        sender, message = event.values_at("sender", "message")
        return unless sender.is_a?(Hash) && message.is_a?(Hash) && !message["is_echo"]

        incoming = new(page_id: page_id, sender_id: sender["id"], mid: message["mid"], content: content(message))
        ids = [incoming.page_id, incoming.sender_id, incoming.mid]
        incoming if ids.all? { |id| id?(id) } && incoming.content.present?
      end

      # What no index could hold is none: the job would be tried again for it in vain.
      def id?(value)
        value.is_a?(String) && value.present? && value.length <= 255 && value.exclude?("\0")
      end

      # The text, or else where the attachments are to be seen. What PostgreSQL cannot store is left out.
      def content(message)
        addresses = hashes(message["attachments"]).filter_map { |attachment| address(attachment["payload"]) }
        text = message["text"].presence || addresses.join("\n")
        text.to_s.delete("\0").first(Message::LONGEST_CONTENT)
      end

      def address(payload)
        payload["url"].presence if payload.is_a?(Hash)
      end

      def hashes(values)
        Array.wrap(values).grep(Hash)
      end
    end
  end
end
