"""Mutants: what a port does wrong to one real answer of the legacy application."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable
from typing import Any, Final, Literal

from bench.noise.world import Answer

Mutant = Callable[[Answer], None]
LIST, SHOW, MESSAGES = "conversations.list", "conversations.show", "messages.list"
USER, SETTINGS, INBOX, ABSENT, REFUSED = (
    "users.show",
    "settings.show",
    "inboxes.show",
    "conversations.absent",
    "conversations.refused",
)


def _at(path: str, change: Callable[[Any], Any]) -> Mutant:
    """A field changed, wherever the path leads; `*` is every element, a number one of them."""

    def mutant(told: Answer) -> None:
        *way, last = path.split(".")
        places: list[Any] = [told.body]
        for step in way:
            if step == "*":
                places = [each for place in places for each in place]
            else:
                places = [place[int(step) if isinstance(place, list) else step] for place in places]
        for place in places:
            if place is not None:
                place[last] = change(place[last])

    return mutant


def _without(path: str) -> Mutant:
    way, _, last = path.rpartition(".")

    def mutant(told: Answer) -> None:
        place = told.body
        for step in filter(None, way.split(".")):
            place = place[int(step) if isinstance(place, list) else step]
        del place[last]

    return mutant


def _header(name: str, value: str | None) -> Mutant:
    def mutant(told: Answer) -> None:
        told.headers.pop(name, None)
        if value is not None:
            told.headers[name] = value

    return mutant


def _status(status: int) -> Mutant:
    return lambda told: setattr(told, "status", status)


def _data(change: Callable[[Any], Any]) -> Mutant:
    return _at("data", change)


def _swapped(rows: list[Any]) -> list[Any]:
    return [rows[1], rows[0], *rows[2:]]


def _composed(text: str) -> str:
    """The other way."""
    form: Literal["NFC", "NFD"] = "NFD" if unicodedata.is_normalized("NFC", text) else "NFC"
    return unicodedata.normalize(form, text)


def _cents(count: int) -> int:
    """Rounded to tens the wrong way."""
    return -(-count // 10) * 10 + 10


MUTANTS: Final[dict[str, tuple[str, Mutant]]] = {  # by what is wrong: the route, and the change
    "count rounded up": (SHOW, _at("data.messageCount", _cents)),
    "count off by one": (SHOW, _at("data.messageCount", lambda count: count + 1)),
    "assignee missing": (SHOW, _without("data.assignee")),
    "contact's name missing": (LIST, _at("data.0.contact", lambda contact: {"id": contact["id"]})),
    "null for a name": (SHOW, _at("data.contact.name", lambda name: None)),
    "null for an empty list": (MESSAGES, _data(lambda rows: None)),
    "empty text for null": (INBOX, _at("data.pageId", lambda page: "")),
    "id as a text": (SHOW, _at("data.id", str)),
    "ids as texts": (LIST, _at("data.*.id", str)),
    "boolean as a text": (SETTINGS, _at("data.autoReply", lambda value: str(value).lower())),
    "number as a decimal": (LIST, _at("data.*.messageCount", float)),
    "time zone written otherwise": (SHOW, _at("data.createdAt", lambda at: at.replace("Z", "+00:00"))),
    "time zone lost": (MESSAGES, _at("data.*.createdAt", lambda at: at.removesuffix("Z"))),
    "an hour late": (SHOW, _at("data.createdAt", lambda at: at.replace("T17", "T18"))),
    "microseconds": (INBOX, _at("data.updatedAt", lambda at: at.replace("Z", "000Z"))),
    "seconds only": (LIST, _at("data.*.lastActivityAt", lambda at: at[:19] + "Z")),
    "HTML escaped": (MESSAGES, _at("data.0.content", html.escape)),
    "HTML escaped twice": (SHOW, _at("data.contact.name", lambda name: f"{html.escape(name)}&amp;")),
    "page too short": (LIST, _data(lambda rows: rows[:-1])),
    "page off by one": (MESSAGES, _data(lambda rows: rows[1:])),
    "cursor of the page before": (LIST, _at("meta.nextCursor", lambda cursor: cursor[:-2] + "AA")),
    "no cursor": (MESSAGES, _at("meta.nextCursor", lambda cursor: None)),
    "Cache-Control dropped": (SHOW, _header("cache-control", None)),
    "cached by everybody": (USER, _header("cache-control", "max-age=60, public")),
    "wrong content type": (LIST, _header("content-type", "text/plain; charset=utf-8")),
    "200 for 404": (ABSENT, _status(200)),
    "422 for 400": (REFUSED, _status(422)),
    "500": (INBOX, _status(500)),
    "stale status": (SHOW, _at("data.status", lambda status: "archived")),
    "stale name": (INBOX, _at("data.name", lambda name: f"{name} (old)")),
    "elements swapped": (MESSAGES, _data(_swapped)),
    "order reversed": (LIST, _data(lambda rows: rows[::-1])),
    "text truncated": (LIST, _at("data.0.lastMessage.content", lambda text: text[:5])),
    "status in capitals": (LIST, _at("data.*.status", str.upper)),
    "name decomposed": (USER, _at("data.name", _composed)),
    "white space trimmed": (MESSAGES, _at("data.0.content", lambda text: text.replace(" ", ""))),
    "one more field": (USER, _at("data", lambda data: {**data, "passwordDigest": "x"})),
    "message of an error reworded": (REFUSED, _at("errors.0.message", lambda text: text + ".")),
    "key renamed": (SETTINGS, _at("data", lambda data: {**data, "time_zone": data.pop("timezone")})),
    "wrong sender": (MESSAGES, _at("data.*.sender.id", lambda id: id + 1)),
}
