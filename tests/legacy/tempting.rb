# frozen_string_literal: true

# Has the Rails application do what no GET should: `rails runner tempting.rb`. Each line of the input is a request for a
# user: {"deed": "insert", "shadow": true, "token": "…"}. The deed is done while it is answered; the line of the output is
# {"status": 500, "word": "wrote", "role": "agent", "body": {…}}.
require "net/http"
require "pty"

INSERT = "INSERT INTO metrics (account_id, day, name, value, created_at, updated_at) " \
         "VALUES (1, '1999-01-01', 'tempted', 1, now(), now())"

def database
  ActiveRecord::Base.connection
end

# What somebody has kept, and threads that work for everybody.
KEPT_POOL = ActiveRecord::Base.connection_pool
KEPT_CONNECTION = ActiveRecord::Base.connection
KEPT_CLIENT = Redis.new(url: ENV.fetch("REDIS_URL")).tap(&:ping)
WORKERS = Concurrent::FixedThreadPool.new(1)
GO_ON = Queue.new
LEFT = []

def in_a_thread(how = Thread.method(:new))
  how.call { swallowing { yield } }.join
end

# What the reaper of connections looks after, once.
Reaped = Struct.new(:over) do
  def reap
    swallowing { database.execute(INSERT) }
    over.push(true)
  end

  def flush; end

  def discarded?
    !over.empty? || over.closed?
  end
end

def swallowing
  yield
rescue StandardError
  nil
end

DEEDS = {
  "nothing" => -> {},
  "fail" => -> { raise "it is broken" },
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
  **{ "RESET" => %w[RESET], "AUTH" => [["auth", "default", "x"]], "HELLO" => %w[HELLO 2 AUTH default x] }.to_h do |name, words|
    ["set a key as another user by #{name}", -> { REDIS.with { |redis| redis.call(*words) && redis.set("tempted", 1) } }]
  end,
  "keep an answer" => -> { Cache.fetch(Cache::Entry.user(2), 1) { "{}" } },
  "enqueue a job" => -> { CountReplyJob.perform_async(1) },
  "broadcast" => -> { ActionCable.server.broadcast("tempted", { told: true }) },
  "broadcast an event" => -> { DomainEvents.publish("conversation.updated", Conversation.first) },
  "insert by the role of users" => -> { ActiveRecord::Base.connected_to(role: :writing) { database.execute(INSERT) } },
  "insert by the role of users, and say nothing of it" => lambda {
    swallowing { ActiveRecord::Base.connected_to(role: :writing) { database.execute(INSERT) } }
  },
  "insert past the adapter" => lambda {
    swallowing { ActiveRecord::Base.connected_to(role: :writing) { database.raw_connection.exec(INSERT) } }
  },
  "insert past the adapter as it is" => -> { swallowing { database.raw_connection.exec(INSERT) } },
  "insert past the adapter by results that are passed over" => lambda {
    database.raw_connection.send_query(INSERT)
    nil while database.raw_connection.get_result
  },
  "insert past the adapter by results that are looked at" => lambda {
    database.raw_connection.send_query(INSERT)
    database.raw_connection.sync_get_result(&:cmd_tuples)
    database.raw_connection.discard_results
  },
  "copy past the adapter" => lambda {
    columns = "account_id, day, name, value, created_at, updated_at"
    row = "1\t1999-01-01\ttempted\t1\tnow\tnow\n"
    swallowing do
      database.raw_connection.copy_data("COPY metrics (#{columns}) FROM STDIN") { database.raw_connection.put_copy_data(row) }
    end
  },
  "insert by the role of users from now on" => lambda {
    ActiveRecord::Base.connecting_to(role: :writing)
    swallowing { database.execute(INSERT) }
  },
  "insert by the pool of users" => -> { KEPT_POOL.with_connection { |connection| connection.execute(INSERT) } },
  "insert on a connection of users" => -> { swallowing { KEPT_CONNECTION.execute(INSERT) } },
  "insert on a connection of its own" => -> { PG.connect(ENV.fetch("DATABASE_URL")).exec(INSERT) },
  "insert by another pool" => lambda {
    swallowing { ActiveRecord::Base.establish_connection(ENV.fetch("DATABASE_URL")) }
    database.execute(INSERT)
  },
  "insert in a thread" => -> { in_a_thread { database.execute(INSERT) } },
  "insert in a thread that is started" => -> { in_a_thread(Thread.method(:start)) { database.execute(INSERT) } },
  "insert in a thread of a thread" => -> { in_a_thread { in_a_thread { database.execute(INSERT) } } },
  "insert in a worker" => lambda {
    Concurrent::Promises.future_on(WORKERS) { swallowing { database.execute(INSERT) } }.wait
  },
  "insert in a task for later" => -> { Concurrent::ScheduledTask.execute(0.1) { database.execute(INSERT) }.wait },
  "insert in a task for now" => -> { Concurrent::ScheduledTask.execute(0) { database.execute(INSERT) }.wait },
  "leave a task for much later" => -> { Concurrent::ScheduledTask.execute(999) { nil } },
  "give threads keywords" => lambda {
    %i[new start fork].each do |how|
      given = Thread.public_send(how, [1], two: 2) { |one, two:| [one, two] }.value
      raise given.inspect unless given == [[1], 2]
    end
  },
  "read in as many workers as can" => lambda {
    number = ActiveRecord::Base.connection_pool.size - 1
    workers, together = Concurrent::FixedThreadPool.new(number), Concurrent::CyclicBarrier.new(number)
    Array.new(number) { Concurrent::Promises.future_on(workers) { User.count && together.wait(9) } }.each(&:value!)
  },
  "have connections reaped" => lambda {
    pool = Reaped.new(Queue.new)
    ActiveRecord::ConnectionAdapters::ConnectionPool::Reaper.register_pool(pool, 0.001)
    pool.over.pop && pool.over.close
  },
  "leave a thread that inserts" => -> { LEFT << Thread.new { GO_ON.pop && swallowing { database.execute(INSERT) } } },
  "insert by a process" => -> { system("psql", ENV.fetch("DATABASE_URL"), "-c", INSERT, out: File::NULL) },
  "insert by a path" => -> { open("| psql '#{ENV.fetch('DATABASE_URL')}' -c \"#{INSERT}\"").read },
  "read a file" => -> { [open(__FILE__, mode: "r").close, IO.read(__FILE__, mode: "r"), IO.foreach(__FILE__).to_a] },
  "set a key by a client of its own" => -> { Redis.new(url: ENV.fetch("REDIS_URL")).set("tempted", 1) },
  "set a key by a client that was kept" => -> { swallowing { KEPT_CLIENT.set("tempted", 1) } },
  "set a key in a thread" => -> { in_a_thread { REDIS.with { |redis| redis.set("tempted", 1) } } },
  "set a key by a client of Sidekiq" => -> { Sidekiq.redis { |redis| redis.set("tempted", 1) } },
  "greet a mail server" => -> { swallowing { TCPSocket.open("127.0.0.1", 25) } },
  "connect a socket" => -> { swallowing { Socket.tcp("127.0.0.1", 9) } },
  "send a datagram" => -> { UDPSocket.new.send("tempted", 0, "127.0.0.1", 9) },
  "send a datagram by any socket" => lambda {
    Socket.new(:INET, :DGRAM).sendmsg("tempted", 0, Socket.sockaddr_in(9, "127.0.0.1"))
  },
  "send a datagram, non-blocking" => lambda {
    Socket.new(:INET, :DGRAM).sendmsg_nonblock("tempted", 0, Socket.sockaddr_in(9, "127.0.0.1"))
  },
  "send a datagram to an address" => lambda {
    Socket.new(:INET, :DGRAM).send("tempted", 0, Socket.sockaddr_in(9, "127.0.0.1"))
  },
  "send a datagram as a message" => -> { UDPSocket.new.sendmsg("tempted", 0, Addrinfo.udp("127.0.0.1", 9)) },
  "find a socket by name" => -> { swallowing { UNIXSocket.new("/nowhere") } },
  "have a shell do it" => -> { `true` },
  "open what a command says" => -> { Kernel.open("|true").close },
  "open a path that is a command" => -> { open(Pathname("|true")).close },
  **%w[read binread readlines foreach].to_h { |name| ["#{name} what a command says", -> { IO.send(name, "|true") }] },
  **%w[write binwrite].to_h { |name| ["#{name} to a command", -> { IO.send(name, "|true", "") }] },
  **%w[spawn getpty].to_h { |name| ["#{name} at a terminal", -> { PTY.send(name, "true") }] },
  "go to the background" => -> { Process.daemon(true, true) },
  "give up users' pool" => -> { swallowing { ActiveRecord::Base.remove_connection } },
  "call Facebook" => -> { swallowing { Facebook::Graph.new("t").send_text(recipient_id: "1", text: "tempted") } },
  "call somebody" => -> { Net::HTTP.get(URI(ENV.fetch("SOMEBODY"))) },
  "read a key" => -> { REDIS.with { |redis| redis.get("tempted") } },
  "read past the adapter" => -> { read_past_the_adapter(database.raw_connection) },
  "ask PostgreSQL for long" => -> { swallowing { database.execute("SELECT pg_sleep(3600)") } },
  "be cut short" => -> { swallowing { database.execute("SET statement_timeout = 1; SELECT pg_sleep(3600)") } },
  "be cut short, and write" => lambda {
    swallowing { database.execute("SET statement_timeout = 1; SELECT pg_sleep(3600)") }
    swallowing { database.execute(INSERT) }
  },
  "have the role made" => -> { have_the_role_made },
  "take the connection" => -> {},
  "hang" => -> { HANGING.push(true) && LET_GO.pop },
  "take places in turn" => -> { raise "somebody had none" unless places_in_turn([false, false], patience: 3600) },
  "take places in vain" => -> { raise "somebody waits" unless places_in_turn([false, true], patience: 0) }
}.freeze

def have_the_role_made
  Shadow::Role.grant
rescue Shadow::Refused => e
  raise e.message
end

HANGING = Queue.new
LET_GO = Queue.new

def read_past_the_adapter(connection)
  connection.send_query("SELECT 1")
  raise "nothing was read" unless connection.get_result.ntuples == 1

  connection.discard_results
  connection.send_query("SELECT 1")
  raise "nothing was read" unless connection.sync_get_result(&:ntuples) == 1
ensure
  connection.discard_results
end

# Whether two shadows that ask at once for one place are told, each, that there was none for them.
def places_in_turn(told, patience:)
  begun, over = Queue.new, Queue.new
  held = ->(env) { begun.push(env) && over.pop && env.key?(ShadowPlaces::FULL) }
  places = ShadowPlaces.new(held, places: 1, patience: patience)
  one = Thread.new { places.call({ Shadows::MARK => "1" }) }
  begun.pop
  other = Thread.new { places.call({ Shadows::MARK => "2" }) }
  begun.pop if told.last # else it waits, or will
  2.times { over.push(true) }
  [one, other].map(&:value) == told
end

# What is done behind the controller's back, by whoever reads its answer or when it is read.
LATE = {
  "insert while the body is read" => ->(text) { Enumerator.new { |body| database.execute(INSERT) && body << text } },
  "set a key while the body is read" => lambda { |text|
    Enumerator.new { |body| REDIS.with { |redis| redis.set("tempted", 1) } && body << text }
  },
  "read while the body is read" => ->(text) { Enumerator.new { |body| User.count && body << text } },
  "answer without an end" => ->(_) { Enumerator.new { |body| loop { body << "x" * 65_536 } } }
}.freeze
AFTER_REPLY = {
  "insert after the reply" => -> { database.execute(INSERT) },
  "set a key after the reply" => -> { REDIS.with { |redis| redis.set("tempted", 1) } },
  "fail after the reply" => -> { raise "it is broken" }
}.freeze

# What makes the shadows' own connections what they must not be.
FAULTS = {
  "without addresses" => -> { ENV.delete("SHADOW_REDIS_URL") },
  "a user that may publish" => -> { KEPT_CLIENT.call("ACL", "SETUSER", "shadow", "+publish") },
  "a user that may write" => -> { ENV["SHADOW_REDIS_URL"] = ENV.fetch("REDIS_URL") },
  "all connections taken" => lambda {
    pool = ActiveRecord::Base.connected_to(role: :shadow) { ActiveRecord::Base.connection_pool }
    begun = Queue.new
    TAKERS.concat(Array.new(pool.size) { Thread.new { begun << pool.checkout && sleep } })
    TAKERS.size.times { begun.pop }
  },
  "no time" => -> { Rails.configuration.x.shadow.deadline = 0 },
  "time again" => -> { Rails.configuration.x.shadow.deadline = 5 },
  "shadows hang" => lambda { |token|
    HUNG.concat(Array.new(2) { Thread.new { ask({ "deed" => "hang", "shadow" => true, "token" => token }) } })
    2.times { HANGING.pop }
  },
  "shadows go on" => -> { 2.times { LET_GO.push(true) } && HUNG.each(&:join) },
  "go on" => -> { GO_ON.push(true) && LEFT.pop.join },
  "connections back" => -> { TAKERS.each { |thread| thread.kill.join } }
}.freeze
TAKERS = []
HUNG = []

module Tempted
  def show
    deed = request.get_header("deed")
    DEEDS.fetch(deed).call unless LATE.key?(deed) || AFTER_REPLY.key?(deed)
    super
    self.response_body = LATE[deed].call(response_body.join) if LATE.key?(deed)
    request.get_header("rack.after_reply").push(AFTER_REPLY[deed]) if AFTER_REPLY.key?(deed)
    response.set_header("rack.hijack", ->(socket) {}) if deed == "take the connection"
  end
end

def ask(asked)
  env = Rack::MockRequest.env_for("/api/v1/users/2", "HTTP_AUTHORIZATION" => asked["token"], "deed" => asked["deed"])
  env["HTTP_X_STRANGLER_SHADOW"] = "1" if asked["shadow"]
  after_reply = env["rack.after_reply"] = [] # as puma does
  status, headers, body = Rails.application.call(env)
  told = +""
  body.each { |part| told << part }
  body.close if body.respond_to?(:close)
  after_reply.each { |block| swallowing { block.call } }
  words = { word: headers["X-Strangler-Shadow"], role: headers["X-Strangler-Role"] }
  { status: status, **words, body: JSON.parse(told) }
end

def spoil(fault, token)
  deed = FAULTS[fault]
  deed.arity.zero? ? deed.call : deed.call(token) if deed
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
  spoil(asked["fault"], asked["token"]) if asked.key?("fault")
  ENV["SOMEBODY"] = asked["somebody"]
  answers.puts ask(asked).to_json
end
