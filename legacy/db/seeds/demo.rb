# frozen_string_literal: true

require_relative "texts"

module Seeds
  # The same data each time, ids and times included: two accounts of unequal size with weeks of messages.
  class Demo
    EPOCH = Time.utc(2026, 1, 5, 9)
    HALF_HOURS = 40 * 48
    CONVERSATIONS = { "Acme" => 1_500, "Globex" => 500 }.freeze
    USERS = { "Acme" => 14, "Globex" => 6 }.freeze
    INBOXES = { "Acme" => %w[web facebook web], "Globex" => %w[web facebook] }.freeze
    CONTACTS_PER_ACCOUNT = 300
    MESSAGES = 40_000
    SILENT = 100 # conversations in which nobody has written
    BATCH = 5_000
    # "password", with fixed salts: a digest of its own for each user would cost seconds and change each time.
    DIGESTS = {
      4 => "$2a$04$everyoneofthedemoseedeeJ1vnnT4ul6XtNtBiuXnnCbbaJIK9xa",
      12 => "$2a$12$everyoneofthedemoseede5t.ZyJgU1GFeK6qKW3JYtppcaoaBaZe"
    }.freeze

    def initialize
      @random = Random.new(6_1_7)
      @digest = DIGESTS.fetch(ENV.fetch("SEED_BCRYPT_COST", "12").to_i)
    end

    def call
      ActiveRecord::Base.transaction do
        clear
        accounts
        users
        inboxes
        contacts
        conversations_and_messages
        rules_and_metrics
        notifications
      end
    end

    private

    def clear
      tables = ActiveRecord::Base.connection.tables - %w[schema_migrations ar_internal_metadata]
      ActiveRecord::Base.connection.execute("TRUNCATE #{tables.join(', ')} RESTART IDENTITY CASCADE")
    end

    def insert(model, rows)
      rows.each_slice(BATCH) { |slice| model.insert_all!(slice, returning: false) }
    end

    def accounts
      rows = CONVERSATIONS.keys.map do |name|
        { name: name, settings: { "locale" => "en", "autoReply" => name == "Acme" }, **created(EPOCH) }
      end
      insert(Account, rows)
      @account_ids = CONVERSATIONS.keys.each_with_index.to_h { |name, index| [name, index + 1] }
    end

    def users
      rows = USERS.flat_map do |account, count|
        Array.new(count) { |index| user(account, index) }
      end
      insert(User, rows)
      @user_ids = ids_by_account(rows)
    end

    def user(account, index)
      role = index.zero? ? "admin" : "agent"
      login = index.zero? ? "admin" : "agent#{index}"
      { account_id: @account_ids[account], email: "#{login}@#{account.downcase}.example", password_digest: @digest,
        name: NAMES[(index + @account_ids[account]) % NAMES.size], role: role, **created(EPOCH) }
    end

    def inboxes
      rows = INBOXES.flat_map do |account, channels|
        channels.each_with_index.map { |channel, index| inbox(account, channel, index) }
      end
      insert(Inbox, rows)
      @inbox_ids = ids_by_account(rows)
      @channels = rows.pluck(:channel)
    end

    def inbox(account, channel, index)
      page = { "pageId" => "#{account.downcase}-page", "pageToken" => "demo-page-token", "appSecret" => "demo-app-secret" }
      { account_id: @account_ids[account], name: "#{account} #{channel} #{index + 1}", channel: channel,
        config: channel == "facebook" ? page : {}, **created(EPOCH) }
    end

    def contacts
      rows = @account_ids.flat_map do |account, account_id|
        Array.new(CONTACTS_PER_ACCOUNT) do |index|
          { account_id: account_id, name: "#{NAMES.sample(random: @random)} #{index + 1}",
            external_id: index.even? ? "#{account.downcase}-psid-#{index}" : nil, **created(EPOCH) }
        end
      end
      insert(Contact, rows)
      @contact_ids = ids_by_account(rows)
    end

    def conversations_and_messages
      @conversations = CONVERSATIONS.flat_map do |account, count|
        Array.new(count) { conversation(@account_ids[account]) }
      end
      @conversations.shuffle!(random: @random)
      @conversations.each.with_index(1) { |row, id| row[:id] = id }
      messages = self.messages
      insert(Conversation, @conversations.map { |row| row.except(:id) })
      insert(Message, messages)
    end

    # Last activities fall on half hours or close behind, so that some conversations share one.
    def conversation(account_id)
      last_activity_at = EPOCH + (@random.rand(HALF_HOURS) * 1800) + Rational(@random.rand(3) * 123_457, 1_000_000)
      { account_id: account_id, inbox_id: pick(@inbox_ids[account_id]), contact_id: pick(@contact_ids[account_id]),
        assignee_id: @random.rand < 0.2 ? nil : pick(@user_ids[account_id]), status: pick(%w[open open pending resolved]),
        last_activity_at: last_activity_at, created_at: last_activity_at, updated_at: last_activity_at }
    end

    # Ids follow time, as they do where messages come in one by one.
    def messages
      rows = @conversations.drop(SILENT).zip(message_counts).flat_map { |conversation, count| thread(conversation, count) }
      rows.sort_by! { |row| [row[:created_at], row[:conversation_id]] }
    end

    # At least one each; some conversations go on for hundreds.
    def message_counts
      counts = Array.new(@conversations.size - SILENT, 1)
      (MESSAGES - counts.size).times { counts[counts.size * (@random.rand**1.5)] += 1 }
      counts
    end

    def thread(conversation, count)
      at = conversation[:last_activity_at]
      rows = Array.new(count) do |back|
        at -= Rational(@random.rand(1..3_000_000_000), 1_000_000) unless back.zero?
        message(conversation, at, count - back)
      end
      conversation[:created_at] = at
      rows
    end

    def message(conversation, at, number)
      incoming = number == 1 || @random.rand < 0.5
      text = format(pick(incoming ? QUESTIONS : ANSWERS), number: @random.rand(10_000..99_999))
      { account_id: conversation[:account_id], inbox_id: conversation[:inbox_id], conversation_id: conversation[:id],
        user_id: incoming ? nil : conversation[:assignee_id] || pick(@user_ids[conversation[:account_id]]),
        contact_id: incoming ? conversation[:contact_id] : nil, direction: incoming ? "incoming" : "outgoing",
        content: text, external_id: external_id(conversation, number),
        status: incoming ? "delivered" : pick(%w[sent delivered delivered failed]), **created(at) }
    end

    def external_id(conversation, number)
      "m_#{conversation[:id]}_#{number}" if @channels[conversation[:inbox_id] - 1] == "facebook"
    end

    def rules_and_metrics
      @account_ids.each_value do |account_id|
        insert(AutomationRule, [
          { account_id: account_id, event: "message.created", **created(EPOCH),
            conditions: [{ "field" => "direction", "operator" => "equals", "value" => "incoming" },
                         { "field" => "content", "operator" => "contains", "value" => "refund" }],
            actions: [{ "type" => "set_status", "value" => "pending" }] }
        ])
        insert(Metric, Array.new(40) do |day|
          { account_id: account_id, day: EPOCH.to_date + day, name: "replies", value: @random.rand(200), **created(EPOCH) }
        end)
      end
    end

    def notifications
      recent = Message.where(direction: "incoming").order(id: :desc).limit(200).pluck(:id, :account_id, :created_at)
      rows = recent.flat_map do |message_id, account_id, at|
        @user_ids[account_id].map { |user_id| { user_id: user_id, message_id: message_id, read_at: nil, **created(at) } }
      end
      insert(Notification, rows)
    end

    def created(at)
      { created_at: at, updated_at: at }
    end

    def pick(choices)
      choices[@random.rand(choices.size)]
    end

    # Rows get their ids in the order of insertion, from 1.
    def ids_by_account(rows)
      rows.each_with_index.group_by { |row, _| row[:account_id] }.transform_values { |found| found.map { _2 + 1 } }
    end
  end
end
