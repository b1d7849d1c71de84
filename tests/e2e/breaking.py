"""The real native application with faults: at its border, as a request's `X-Fault` asks for them, and within its unit
of work, where PostgreSQL brings them about as a message's content asks for them."""

from __future__ import annotations

import asyncio

import psycopg
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from handlers.app import app as messaging

NATIVE = "native"  # the name under which its connections are known to PostgreSQL

TRIGGERS = f"""
create function fail_before_the_commit() returns trigger language plpgsql as $$
begin
  if current_setting('application_name') = '{NATIVE}' then
    if new.content like '%[raise]%' then raise exception 'a fault';
    elsif new.content like '%[end]%' then perform pg_terminate_backend(pg_backend_pid()), pg_sleep(60);
    elsif new.content like '%[sleep]%' then perform pg_sleep(60);
    end if;
  end if;
  return new;
end $$;
create function fail_at_the_commit() returns trigger language plpgsql as $$
begin
  if current_setting('application_name') = '{NATIVE}' then
    if new.content like '%[refuse]%' then raise exception 'a fault';
    elsif new.content like '%[vanish]%' then perform pg_terminate_backend(pg_backend_pid()), pg_sleep(60);
    end if;
  end if;
  return null;
end $$;
create trigger before_the_commit before insert on messages for each row execute function fail_before_the_commit();
create constraint trigger at_the_commit after insert on messages deferrable initially deferred
  for each row execute function fail_at_the_commit();
"""


def break_database(url: str) -> str:
    """Have PostgreSQL fail what native asks of this database; returns the address at which it takes one for native."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TRIGGERS)
    return f"{url}?application_name={NATIVE}"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    fault = dict(scope.get("headers", ())).get(b"x-fault") if scope["type"] == "http" else None
    match fault:
        case b"raises":
            raise RuntimeError("a fault")
        case b"fails":
            await PlainTextResponse("a fault", 500)(scope, receive, send)
        case b"discards":
            await PlainTextResponse("a fault", 503, {"X-Strangler-Discarded": "1"})(scope, receive, send)
        case b"hangs":
            await asyncio.Event().wait()
        case b"loses":
            await messaging(scope, receive, unheard)
            raise RuntimeError("a fault after the commit")
        case b"hangs-after":
            await messaging(scope, receive, unheard)
            await asyncio.Event().wait()
        case _:
            await messaging(scope, receive, send)


async def unheard(message: Message) -> None:
    return
