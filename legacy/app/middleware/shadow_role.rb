# frozen_string_literal: true

# Says of a shadow's answer as whom it was asked, those that say of a fault included: what is proved of the sides'
# parity is told by role.
class ShadowRole
  WORD = "X-Strangler-Role"

  # Seconds for which a role that was read is said, and callers who are remembered. Nobody is let in by it. Native has
  # the same: handlers/roles.py.
  FRESH = 60
  MOST = 4096

  def initialize(app)
    @app = app
    @known = Concurrent::Map.new
  end

  def call(env)
    status, headers, body = @app.call(env)
    claims = env[RequestLog::CALLER] if env.key?(Shadows::MARK) && headers[Shadows::WORD] != Shadows::REFUSED
    role = role_of(claims) if claims
    headers[WORD] = role if role
    [status, headers, body]
  end

  private

  def role_of(claims)
    now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    role, till = @known[claims]
    return role if till && now < till

    @known.clear if @known.size >= MOST
    role = read(claims)
    @known[claims] = [role, now + FRESH]
    role
  rescue Shadow::Refused, ActiveRecord::ActiveRecordError
    nil
  end

  # As a shadow as well: it keeps no connection from users.
  def read(claims)
    Shadow.watch { User.where(account_id: claims.account_id, id: claims.user_id).pick(:role) }.first
  end
end
