# frozen_string_literal: true

require "active_record/connection_adapters/postgresql_adapter"
require "concurrent"
require "pty"

# What keeps a shadow (`Shadow`) to the connections that it is given, wherever it looks for others.

# Of PostgreSQL: another role of `connected_to`, another pool, or a connection that somebody has kept.
module OnlyOnOurConnection
  def raw_connection
    Shadow.forbid("a connection of users'") unless @config[:shadow]
    super
  end

  private

  def log(*)
    Shadow.forbid("a statement on a connection of users'") unless @config[:shadow]
    super
  end
end

ActiveRecord::ConnectionAdapters::PostgreSQLAdapter.prepend OnlyOnOurConnection

# What is made while it is looked for may be lent to users.
module ConnectedForEverybody
  def new_client(*)
    Shadow.aside { super }
  end
end

ActiveRecord::ConnectionAdapters::PostgreSQLAdapter.singleton_class.prepend ConnectedForEverybody

# Of Redis: another client than those of `Shadow.redis`.
module OnlyByOurClient
  def process(*)
    Shadow.forbid("a command by a client of Redis of its own") unless @options[:shadow]
    super
  end

  # No rights of a user keep him from being another one. Native refuses the same: handlers/shadow.py.
  def write(command)
    Shadow.forbid("another user of Redis") if Shadow.on? && !@connecting && becomes_another?(command)
    super
  end

  protected

  def establish_connection
    Shadow.aside { super }
  end

  private

  def becomes_another?(command)
    name, *more = command.flatten.map { |word| word.to_s.b.upcase }
    %w[AUTH RESET].include?(name) || (name == "HELLO" && more.include?("AUTH"))
  end
end

Redis::Client.prepend OnlyByOurClient

# Everything else: these methods it may not call. Net::HTTP and Net::SMTP begin with a socket; neither PostgreSQL's
# library nor those above do. Some it may call, but not with the arguments of which `only` holds.
bar = lambda do |owner, *names, &only|
  owner.prepend(Module.new do
    names.each do |name|
      define_method(name) do |*arguments, **options, &block|
        Shadow.forbid("#{owner}: #{name}") if only.nil? || only.call(*arguments)
        super(*arguments, **options, &block)
      end
      private name if owner.private_method_defined?(name)
    end
  end)
end

bar.call(TCPSocket, :initialize)
bar.call(UNIXSocket, :initialize)
bar.call(UDPSocket, :connect, :send)
bar.call(BasicSocket, :send, :sendmsg, :sendmsg_nonblock)
bar.call(Socket, :connect, :connect_nonblock)
bar.call(PG::Connection.singleton_class, :new, :connect, :open, :setdb, :setdblogin, :connect_start)
bar.call(ActiveRecord::ConnectionAdapters::ConnectionHandler, :establish_connection, :remove_connection_pool)
[Kernel, Kernel.singleton_class].each { |owner| bar.call(owner, :`, :exec, :fork, :spawn, :system) }
[PTY, PTY.singleton_class].each { |owner| bar.call(owner, :getpty, :spawn) }
bar.call(Process.singleton_class, :daemon, :exec, :fork, :spawn)
bar.call(IO.singleton_class, :popen)

# A path that Ruby takes for a command.
command = ->(path = nil, *) { path.to_s.start_with?("|") }
[Kernel, Kernel.singleton_class].each { |owner| bar.call(owner, :open, &command) }
bar.call(IO.singleton_class, :binread, :binwrite, :foreach, :read, :readlines, :write, &command)

# A thread that a shadow starts is one as long as it lives. Of what works for everybody it is what is done for the
# shadow, not the thread that happens to be started for it.
module ThreadsOfShadows
  def initialize(*arguments, **options, &block)
    super(*arguments, **options, &Shadow.carried(block))
  end
end

module ThreadsStartedByShadows
  def start(*arguments, **options, &block)
    super(*arguments, **options, &Shadow.carried(block))
  end

  def fork(*arguments, **options, &block)
    super(*arguments, **options, &Shadow.carried(block))
  end
end

module TasksOfShadows
  def post(*arguments, &task)
    carried = Shadow.carried(task)
    Shadow.aside { super(*arguments, &carried) }
  end
end

# A task for later is handed out by a loop that serves everybody's: each is carried by itself, the loop by nobody.
module ScheduledByShadows
  def initialize(delay, opts = {}, &task)
    super(delay, opts, &Shadow.carried(task))
  end
end

module TimersOfEverybody
  private

  def post_task(*)
    Shadow.aside { super }
  end
end

module ReapersOfPools
  private

  def spawn_thread(*)
    Shadow.aside { super }
  end
end

Thread.prepend ThreadsOfShadows
Thread.singleton_class.prepend ThreadsStartedByShadows
Concurrent::RubyExecutorService.prepend TasksOfShadows
Concurrent::ScheduledTask.prepend ScheduledByShadows
Concurrent::TimerSet.prepend TimersOfEverybody
ActiveRecord::ConnectionAdapters::ConnectionPool::Reaper.singleton_class.prepend ReapersOfPools
