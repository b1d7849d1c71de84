# frozen_string_literal: true

# The random key by which a client gets its next access token; Redis knows whose it is, for a week, until it is
# rotated or revoked. A refresh whose answer was lost may be asked again: for ten seconds Redis remembers what a token
# was rotated to.
#
# The scripts are word for word those of handlers/refresh_tokens.py. They run whole or not at all, and are sent whole
# each time: a Redis that was restarted or emptied has forgotten nothing.
module RefreshToken
  LIFETIME = 7.days

  # ARGV: a token; the pair to rotate it to, or nothing in order to look only. Returns whose it is, and the pair that
  # it was rotated to if it was; nothing of a token that is no good.
  ROTATE = <<~LUA
    local token, pair = ARGV[1], false
    -- On to the newest: a pair whose token has been rotated as well would sign its user out. Nobody in good faith is 16
    -- rotations behind, and whoever is would have us follow them each time: such a token is no good.
    for _ = 1, 16 do
      local remembered = redis.call("GET", "refresh:rotated:" .. token)
      if not remembered then
        break
      end
      pair, token = remembered, cjson.decode(remembered).refreshToken
    end
    local user_id = redis.call("GET", "refresh:token:" .. token)
    if not user_id then
      return {false, false}
    end
    if ARGV[2] and not pair then
      pair = ARGV[2]
      redis.call("DEL", "refresh:token:" .. token)
      redis.call("SET", "refresh:token:" .. cjson.decode(pair).refreshToken, user_id, "EX", 604800)
      redis.call("SET", "refresh:rotated:" .. token, pair, "EX", 10)
    end
    return {user_id, pair}
  LUA

  # ARGV: a token. It ends with all that it was rotated to, if that can be followed as above; what was rotated to it
  # leads nowhere from then on.
  REVOKE = <<~LUA
    local token, keys = ARGV[1], {}
    for _ = 0, 16 do
      table.insert(keys, "refresh:token:" .. token)
      table.insert(keys, "refresh:rotated:" .. token)
      local remembered = redis.call("GET", "refresh:rotated:" .. token)
      if not remembered then
        return redis.call("DEL", unpack(keys))
      end
      token = cjson.decode(remembered).refreshToken
    end
  LUA

  # What a token that is good stands for: its user's id, and the newest pair if it has been rotated.
  Session = Struct.new(:user_id, :pair)

  class << self
    def generate
      SecureRandom.urlsafe_base64(32)
    end

    def keep(token, user)
      ask { |redis| redis.set("refresh:token:#{token}", user.id, ex: LIFETIME.to_i) }
    end

    # nil for a token that is unknown, expired or revoked, or was rotated more than ten seconds ago.
    def look_up(token)
      run(token)
    end

    # The same, with the pair that now takes the token's place: ours, or that of who came first.
    def rotate(token, pair)
      run(token, TokenPairSerializer.new(pair).to_json)
    end

    def revoke(token)
      ask { |redis| redis.eval(REVOKE, argv: [token]) }
    end

    private

    def run(*arguments)
      user_id, remembered = ask { |redis| redis.eval(ROTATE, argv: arguments) }
      Session.new(user_id, remembered && TokenPair.parse(remembered)) if user_id
    end

    # Once more if the connection is lost on the way: what may have been carried out does no harm if it is done again,
    # and a rotation finds its own pair.
    def ask(&command)
      REDIS.with(&command)
    rescue Redis::ConnectionError
      REDIS.with(&command)
    end
  end
end
