# frozen_string_literal: true

# Has the Rails application do what no GET should: `rails runner tempting.rb`. Each line of the input is a request for a
# user: {"deed": "insert", "shadow": true, "token": "…"}. The deed is done while it is answered; the line of the output is
# {"status": 500, "word": "wrote", "body": {…}}.
require "net/http"

INSERT = "INSERT INTO metrics (account_id, day, name, value, created_at, updated_at) " \
         "VALUES (1, '1999-01-01', 'tempted', 1, now(), now())"

def database
  ActiveRecord::Base.connection
end

def swallowing
  yield
rescue StandardError
  nil
end

DEEDS = {
  "nothing" => -> {},
  "insert" => -> { database.execute(INSERT) },
  "insert, and say nothing of it" => -> { swallowing { database.execute(INSERT) } },
  "insert after a select" => -> { database.select_all("WITH done AS (#{INSERT} RETURNING id) SELECT * FROM done") },
  "insert by a model" => -> { Metric.create!(account_id: 1, day: "1999-01-01", name: "tempted", value: 1) },
  "lock a row" => -> { User.lock.find(2) },
  "unset what is only a setting" => lambda {
    database.execute("SET default_transaction_read_only = off")
    database.execute(INSERT)
  },
  "begin to write" => lambda {
    User.transaction do
      database.execute("SET TRANSACTION READ WRITE")
      database.execute(INSERT)
    end
  },
  "put on another role" => -> { database.execute("SET ROLE postgres") },
  "make a table" => -> { database.execute("CREATE TABLE tempted (id int)") },
  "set a key" => -> { REDIS.with { |redis| redis.set("tempted", 1) } },
  "set a key, and say nothing of it" => -> { REDIS.with { |redis| swallowing { redis.set("tempted", 1) } } },
  "set a key by a script" => -> { CACHE.with { |redis| redis.eval("redis.call('SET', 'tempted', 1)") } },
  "set a key in a transaction" => -> { REDIS.with { |redis| redis.multi { |multi| multi.set("tempted", 1) } } },
  "keep an answer" => -> { Cache.fetch(Cache::Entry.user(2), 1) { "{}" } },
  "enqueue a job" => -> { CountReplyJob.perform_async(1) },
  "broadcast" => -> { ActionCable.server.broadcast("tempted", { told: true }) },
  "broadcast an event" => -> { DomainEvents.publish("conversation.updated", Conversation.first) },
  "call Facebook" => -> { swallowing { Facebook::Graph.new("t").send_text(recipient_id: "1", text: "tempted") } },
  "call somebody" => -> { Net::HTTP.get(URI(ENV.fetch("SOMEBODY"))) },
  "read a key" => -> { REDIS.with { |redis| redis.get("tempted") } }
}.freeze

# What makes the shadows' own connections what they must not be.
FAULTS = {
  "without addresses" => -> { ENV.delete("SHADOW_REDIS_URL") },
  "a user that may write" => -> { ENV["SHADOW_REDIS_URL"] = ENV.fetch("REDIS_URL") },
  "all connections taken" => lambda {
    pool = ActiveRecord::Base.connected_to(role: :shadow) { ActiveRecord::Base.connection_pool }
    begun = Queue.new
    TAKERS.concat(Array.new(pool.size) { Thread.new { begun << pool.checkout && sleep } })
    TAKERS.size.times { begun.pop }
  },
  "connections back" => -> { TAKERS.each { |thread| thread.kill.join } }
}.freeze
TAKERS = []

module Tempted
  def show
    DEEDS.fetch(request.get_header("deed")).call
    super
  end
end

def ask(asked)
  env = Rack::MockRequest.env_for("/api/v1/users/2", "HTTP_AUTHORIZATION" => asked["token"], "deed" => asked["deed"])
  env["HTTP_X_STRANGLER_SHADOW"] = "1" if asked["shadow"]
  status, headers, body = Rails.application.call(env)
  told = +""
  body.each { |part| told << part }
  body.close if body.respond_to?(:close)
  { status: status, word: headers["X-Strangler-Shadow"], body: JSON.parse(told) }
end

def spoil(fault)
  FAULTS[fault]&.call
  Shadow::Role.instance_variable_set(:@proved, nil)
  Shadow.instance_variable_set(:@redis, nil)
end

Api::V1::UsersController.prepend Tempted
answers = $stdout.dup
$stdout.reopen($stderr) # the log
answers.sync = true
answers.puts "ready"
while (line = $stdin.gets)
  asked = JSON.parse(line)
  spoil(asked["fault"]) if asked.key?("fault")
  ENV["SOMEBODY"] = asked["somebody"]
  answers.puts ask(asked).to_json
end
