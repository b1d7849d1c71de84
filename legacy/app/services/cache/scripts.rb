# frozen_string_literal: true

module Cache
  # The steps by which answers are kept in Redis, word for word those of handlers/leases.py. They run whole or not at
  # all, and are sent whole each time: a Redis that was restarted has forgotten nothing.
  module Scripts
    # KEYS: an entry, and the names that it shows if it shows any. ARGV: the account that asks, the side, a new token.
    # Returns what to do, and with what: "hit" and the answer, "lead" and a lease, "follow" and the lease of somebody
    # else; "bypass" if the entry must be neither read nor filled.
    READ = <<~'LUA'
      local now = redis.call("TIME")[1]
      for _, key in ipairs(KEYS) do
        if redis.call("ZCOUNT", "cache:mark:" .. key, now, "+inf") > 0 then
          return {"bypass", ""}
        end
      end
      local names = ""
      if KEYS[2] then
        redis.call("SET", KEYS[2], ARGV[3], "NX", "EX", 1800)
        names = redis.call("GET", KEYS[2])
      end
      local entry = redis.call("GET", KEYS[1])
      if entry then
        local writer, epoch, account, shown, answer = string.match(entry,
          '^{"writer":"(%l+)","epoch":(%d+),"accountId":(%d+),"names":"(%x*)","answer":(.+)}$')
        if writer and shown == names and epoch == (redis.call("GET", "cache:epoch:" .. writer) or "0") then
          -- To another account it is not there, as the database will say.
          return account == ARGV[1] and {"hit", answer} or {"bypass", ""}
        end
      end
      local held = redis.call("GET", "cache:lease:" .. KEYS[1])
      -- Not of one who may have read an old name.
      if held and string.match(held, "%x*$") == names then
        return {"follow", held}
      end
      local epoch = redis.call("GET", "cache:epoch:" .. ARGV[2]) or "0"
      local lease = ARGV[3] .. " " .. epoch .. " " .. names
      redis.call("SET", "cache:lease:" .. KEYS[1], lease, "EX", 10)
      return {"lead", lease}
    LUA

    # KEYS: as above. ARGV: the lease, the side, the account, seconds, and the answer. The entry is of the epoch in which
    # the lease was taken.
    FILL = <<~'LUA'
      if redis.call("GET", "cache:lease:" .. KEYS[1]) ~= ARGV[1] then
        return 0
      end
      redis.call("DEL", "cache:lease:" .. KEYS[1])
      local epoch, names = string.match(ARGV[1], " (%d+) (%x*)$")
      if KEYS[2] and redis.call("GET", KEYS[2]) ~= names then
        return 0
      end
      redis.call("SET", KEYS[1], '{"writer":"' .. ARGV[2] .. '","epoch":' .. epoch .. ',"accountId":' .. ARGV[3] ..
        ',"names":"' .. names .. '","answer":' .. ARGV[5] .. '}', "EX", ARGV[4])
      return 1
    LUA

    # KEYS: an entry. ARGV: the token of a lease, which nobody is going to fill.
    GIVE_BACK = <<~'LUA'
      local held = redis.call("GET", "cache:lease:" .. KEYS[1])
      if held and string.match(held, "^%x+") == ARGV[1] then
        redis.call("DEL", "cache:lease:" .. KEYS[1])
      end
    LUA

    # KEYS: what is about to change. ARGV: a new token. PostgreSQL ends a transaction that has not committed ten seconds
    # later: five until the COMMIT comes, and five for it.
    MARK = <<~'LUA'
      local now = redis.call("TIME")[1]
      for _, key in ipairs(KEYS) do
        local marks = "cache:mark:" .. key
        redis.call("ZREMRANGEBYSCORE", marks, "-inf", "(" .. now)
        redis.call("ZADD", marks, now + 60, ARGV[1])
        redis.call("EXPIRE", marks, 61)
        redis.call("DEL", key, "cache:lease:" .. key)
      end
    LUA

    # KEYS: what has changed. ARGV: the token of the mark; another one lifts none.
    FORGET = <<~'LUA'
      for _, key in ipairs(KEYS) do
        redis.call("DEL", key, "cache:lease:" .. key)
        redis.call("ZREM", "cache:mark:" .. key, ARGV[1])
      end
    LUA
  end
end
