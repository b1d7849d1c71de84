# frozen_string_literal: true

# Steps the cache of the Rails application, an actor at a time: `rails runner stepping.rb`. Each line of the input is a
# command, each line of the output where the actor has come to: {"at": "miss"}, or {"at": "done", "answer": "[1,2]"}.
class Death < StandardError; end

# A reader or a writer, that goes on from one pause to the next when it is told to.
class Actor
  def initialize(conversation_id)
    @conversation_id = conversation_id
    @told = Queue.new
    @come = Queue.new
  end

  def begin(role)
    Thread.new { ActiveRecord::Base.connection_pool.with_connection { live(role) } }
    @come.pop
  end

  def go_on(word)
    @told << word
    @come.pop
  end

  private

  def live(role)
    @come << { at: "done", answer: role == "reader" ? read : write }
  rescue Death
    @come << { at: "dead" }
  rescue StandardError => e
    @come << { at: "failed", error: e.full_message(highlight: false) }
  end

  def pause(place)
    @come << { at: place }
    raise Death if @told.pop == "die"
  end

  def entry
    Cache::Entry.first_page(@conversation_id, 1)
  end

  def read
    Cache.fetch(entry, 1) do
      Cache::FLIGHTS.clear # every actor is a process of its own
      pause("miss")
      ids = Message.where(conversation_id: @conversation_id).order(:id).ids.to_json
      pause("read")
      ids
    end
  end

  def write
    connection = ActiveRecord::Base.connection
    connection.begin_db_transaction
    id = connection.select_value(<<~SQL)
      insert into messages (account_id, inbox_id, conversation_id, user_id, direction, content, created_at, updated_at)
      values (1, 1, #{@conversation_id}, 2, 'outgoing', 'stepped', now(), now()) returning id
    SQL
    forgetting = Cache::Forgetting.new(connection)
    forgetting.add(entry.keys.first(1))
    begin
      pause("written")
      forgetting.before_committed!
      pause("marked")
    rescue Death
      connection.rollback_db_transaction
      raise
    end
    connection.commit_db_transaction
    pause("committed:#{id}")
    forgetting.committed!
    nil
  end
end

# As if the process had just started.
def forget_everything
  Cache::LINK.send(:initialize)
  Cache::TRUST.send(:initialize, Cache::LINK)
end

Rails.configuration.x.cache.look = ENV.fetch("CACHE_LOOK").to_f
answers = $stdout.dup
$stdout.reopen($stderr) # where the log goes as well
answers.sync = true
actors = {}
answers.puts({ at: "ready" }.to_json)
$stdin.each_line do |line|
  command = JSON.parse(line)
  place =
    if command["restart"]
      forget_everything
      { at: "ready" }
    elsif (role = command["begin"])
      actors[command["actor"]] = Actor.new(command["conversation"])
      actors[command["actor"]].begin(role)
    else
      actors[command["actor"]].go_on(command["tell"])
    end
  answers.puts(place.to_json)
end
