# frozen_string_literal: true

module Facebook
  # Stores a message that came in: once, however often it is delivered and in whatever order. What follows a message is
  # told by the model, after the commit.
  class Receive
    def self.call(incoming)
      new(incoming).call
    end

    def initialize(incoming)
      @incoming = incoming
    end

    # The message; nil if it is there already, or if the page is nobody's.
    def call
      inbox = Inbox.of_facebook_page(@incoming.page_id)
      if inbox
        Message.transaction { store(inbox) }
      else
        Rails.logger.warn({ event: "facebook_page_unknown", page: @incoming.page_id })
        nil
      end
    end

    private

    def store(inbox)
      contact = contact_of(inbox)
      # Two first messages at once are of one conversation, and of two deliveries of one message the second finds it.
      # Those who only refer to the contact need not wait.
      contact.lock!("FOR NO KEY UPDATE")
      return if inbox.messages.exists?(external_id: @incoming.mid)

      conversation = conversation_of(contact, inbox).lock!
      message = conversation.messages.create!(
        account_id: inbox.account_id,
        inbox: inbox,
        contact: contact,
        direction: "incoming",
        content: @incoming.content,
        external_id: @incoming.mid,
        status: "delivered"
      )
      note_activity(conversation, message.created_at)
      message
    end

    # Facebook tells no name, only who it is to this page.
    def contact_of(inbox)
      who = { account_id: inbox.account_id, external_id: @incoming.sender_id }
      Contact.find_by(who) || begin
        now = Time.current
        row = { **who, name: "Facebook user #{@incoming.sender_id}", created_at: now, updated_at: now }
        Contact.insert(row, unique_by: who.keys)
        Contact.find_by!(who)
      end
    end

    def conversation_of(contact, inbox)
      inbox.conversations.where(contact: contact).order(:id).last ||
        inbox.conversations.create!(account_id: inbox.account_id, contact: contact, last_activity_at: Time.current)
    end

    # Who writes again has not been helped yet. What agents have put off stays so.
    def note_activity(conversation, at)
      latest = [conversation.last_activity_at, at].max
      status = conversation.status == "resolved" ? "open" : conversation.status
      conversation.update_columns(status: status, last_activity_at: latest, updated_at: latest)
    end
  end
end
