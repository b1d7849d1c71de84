# frozen_string_literal: true

module Cache
  # An answer that may be kept: under which key, for how long, and the names that it shows of other rows, with which it
  # is forgotten as well. Both sides name alike: handlers/entries.py.
  Entry = Struct.new(:key, :lifetime, :names) do
    class << self
      def user(id)
        new("user:#{id}", 15.minutes)
      end

      def conversation(id, account_id)
        new("conversation:#{id}", 5.minutes, names(account_id))
      end

      # The newest messages, as many as a page has by default. Other pages are not kept.
      def first_page(conversation_id, account_id)
        new("conversation:#{conversation_id}:messages", 2.minutes, names(account_id))
      end

      def settings(account_id)
        new("account:#{account_id}:settings", 30.minutes)
      end

      def inbox(id)
        new("inbox:#{id}:config", 10.minutes)
      end

      # Stands for the names of an account's users, contacts and inboxes. They change rarely, and are shown in thousands
      # of conversations: forgetting it makes all of those misses at once.
      def names(account_id)
        "account:#{account_id}:names"
      end
    end

    def keys
      [key, names].compact
    end
  end
end
