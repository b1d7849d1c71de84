"""An account's settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import available_timezones

from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb
from pydantic import Field, PlainValidator
from starlette.requests import Request

from . import entries, inputs
from .answers import Answer
from .auth import authenticate, permitted
from .cached import cached
from .inputs import Input, wrong
from .unit import Reading, Scoped, unit_of_work

LOCALES = ("de", "en", "es", "fr", "it", "ja", "nl", "pt")
# IANA's names, as this machine has them: "localtime" is the machine's own. Hundreds of files are looked into for them,
# which no request should wait for.
TIMEZONES = frozenset(available_timezones() - {"localtime"})


def settings(row: TupleRow) -> dict[str, Any]:
    """Those that are known, all of them; one that is not set is null. Others in the row are not the API's."""
    locale, timezone, auto_reply = row
    return {"locale": locale, "timezone": timezone, "autoReply": auto_reply}


SHOW = Scoped("""
select settings -> 'locale', settings -> 'timezone', settings -> 'autoReply'
  from accounts
 where id = %(id)s and id = %(account_id)s
""")


async def show_settings(request: Request) -> Answer:
    caller, id = authenticate(request), request.path_params["id"]

    async def load(database: Reading) -> dict[str, Any] | None:
        row = await database.row(SHOW, id=id)
        return {"data": settings(row)} if row else None

    return await cached(request, caller, entries.settings(id), load)


def check_locale(value: object) -> str | None:
    return None if value is None else inputs.check_choice(value, LOCALES)


def check_timezone(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or value not in TIMEZONES):
        raise wrong("is not included in the list")
    return value


def check_switch(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise wrong("must be a boolean")
    return value


class SettingsChanges(Input):
    """Null takes a setting back."""

    locale: Annotated[str | None, PlainValidator(check_locale)] = None
    timezone: Annotated[str | None, PlainValidator(check_timezone)] = None
    auto_reply: Annotated[bool | None, PlainValidator(check_switch)] = Field(None, alias="autoReply")


# The caller's row is locked first: it stays an admin's until the change is committed. Settings are merged where they
# are stored: of two changes at once neither takes the other's back.
UPDATE = Scoped("""
with caller as materialized (
     select role = 'admin' as allowed from users where id = %(user_id)s and account_id = %(account_id)s for share),
wanted as materialized (
     select id, settings, settings - %(taken_back)s::text[] || %(set)s::jsonb as new_settings
       from caller, accounts
      where id = %(id)s and id = %(account_id)s
        for no key update of accounts),
changed as (
     update accounts
        set settings = wanted.new_settings, updated_at = %(now)s
       from wanted, caller
      where accounts.id = wanted.id and wanted.settings <> wanted.new_settings and caller.allowed)
select wanted.id is not null, caller.allowed, wanted.settings <> wanted.new_settings,
       new_settings -> 'locale', new_settings -> 'timezone', new_settings -> 'autoReply'
  from caller left join wanted on true
""")


async def update_settings(request: Request) -> Answer:
    caller = authenticate(request)
    changes = await inputs.changes(request, SettingsChanges)
    given = changes.model_dump(by_alias=True, exclude_unset=True)
    async with unit_of_work(request, caller) as unit:
        row = await unit.row(
            UPDATE,
            user_id=caller.user_id,
            id=request.path_params["id"],
            set=Jsonb({name: value for name, value in given.items() if value is not None}),
            taken_back=[name for name, value in given.items() if value is None],
            now=datetime.now(UTC).replace(tzinfo=None),
        )
        differs, *shown = permitted(row)
        if differs:
            unit.forget(*entries.of_settings(caller.account_id))
    return Answer({"data": settings(tuple(shown))})
