"""A user who does all that there is to do, and checks each answer against what anybody was told before he asked."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jwt

from demo.accounts import Account
from demo.asking import Client
from demo.log import Log
from demo.promises import MARK, Changing, Create
from demo.shift import Shift

PASSWORD = "password"
AGAIN = 10.0  # seconds for which a refresh whose answer was lost may be asked again
LISTED = 20  # conversations: more than those in which something is going on
STATUSES = ("pending", "resolved", "open")
TIMEZONES = ("Europe/Berlin", "Asia/Tokyo", "America/Lima", "UTC")
PHRASES = (
    "Thanks, I am looking into it.",
    "Your order left our warehouse this morning <3",
    "Ihre Erstattung ist unterwegs & sollte morgen ankommen.",
    "C’est réglé. Bonne journée 😊",
)


class User:
    """One person at work."""

    def __init__(self, url: str, account: Account, id: int, desk: int, log: Log) -> None:
        self.id = id
        self._account, self._desk, self._log = account, desk, log
        self._chance = random.Random(id)
        self._client = Client(url, account.emails[id], log)
        self._refresh_token = ""

    async def work(self, shift: Shift) -> None:
        errands: dict[Callable[[], Awaitable[None]], int] = {
            self._send: 14, self._read_page: 8, self._read_pages: 4, self._show: 8, self._list: 8, self._browse: 12,
            self._show_desk: 5, self._show_user: 4, self._show_settings: 4, self._show_inbox: 4, self._reply: 3,
            self._move: 3, self._rename: 3, self._refresh: 3, self._leave: 1,
        }  # fmt: skip
        if self.id == min(self._account.emails):
            errands |= {self._set: 5, self._label: 5}
        while not shift.over:
            (errand,) = self._chance.choices(list(errands), list(errands.values()))
            await errand()
            await shift.pause()

    async def close(self) -> None:
        await self._client.close()

    async def sign_in(self) -> None:
        credentials = {"email": self._account.emails[self.id], "password": PASSWORD}
        told = await self._client.ask("login", "POST", "/auth/login", credentials)
        if self._client.due("login", told, 200):
            self._adopt(told.body)

    async def _refresh(self) -> None:
        began, failures = time.monotonic(), list[str]()
        shown = {"refreshToken": self._refresh_token}
        told = await self._client.ask("refresh", "POST", "/auth/refresh", shown, failures=failures)
        if told.status == 401 and failures and time.monotonic() - began > AGAIN:
            self._log.late += 1
            await self.sign_in()
        elif self._client.due("refresh", told, 200):
            self._adopt(told.body)

    def _adopt(self, pair: Mapping[str, str]) -> None:
        claims = jwt.decode(pair["accessToken"], options={"verify_signature": False})
        mine = (claims["sub"], claims["account_id"]) == (str(self.id), self._account.id)
        self._client.check("session", [] if mine else [f"{claims} for user {self.id}"])
        self._client.is_known_by(pair["accessToken"])
        self._refresh_token = pair["refreshToken"]

    async def _leave(self) -> None:
        left = {"refreshToken": self._refresh_token}
        self._client.due("logout", await self._client.ask("logout", "POST", "/auth/logout", left), 200)
        self._client.due("refresh", await self._client.ask("refresh", "POST", "/auth/refresh", left), 401)
        await self.sign_in()

    async def _send(self) -> None:
        room = self._chance.choice(self._account.rooms)
        create = self._written(room.id)
        room.begin(create)
        if made := await self._create(create):
            self._client.check("create", room.faults_of_message(made))
            room.end(create)

    async def _reply(self) -> None:
        """To somebody who writes to the page, and does so at any time: what is in there nobody here can know."""
        await self._create(self._written(self._chance.choice(list(self._account.chats.values()))))

    def _written(self, conversation: int) -> Create:
        number = next(self._log.numbers)
        content = f"{MARK}{number} {self._chance.choice(PHRASES)}"
        return Create(f"key-{number}", content, conversation, self.id)

    async def _create(self, create: Create) -> Any:
        """The message as it was answered, however often it had to be sent: under one key it is one."""
        self._log.creates.append(create)
        told = await self._client.ask(
            "create",
            "POST",
            "/api/v1/messages",
            {"content": create.content, "conversationId": create.conversation},
            headers={"Idempotency-Key": create.key},
            failures=create.failures,
        )
        if not self._client.due("create", told, 201):
            return None
        self._log.replayed += told.replayed
        create.id = told.body["data"]["id"]
        return told.body["data"]

    async def _read_page(self) -> None:
        room = self._chance.choice(self._account.rooms)
        known, shown = room.known, list[Any]()
        whole = await self._page(f"/api/v1/conversations/{room.id}/messages", shown) is None
        self._client.check("messages", room.faults_of_page(known, shown, whole=whole))

    async def _read_pages(self) -> None:
        """The newest three, of four messages each."""
        room = self._chance.choice(self._account.rooms)
        known, shown = room.known, list[Any]()
        path = f"/api/v1/conversations/{room.id}/messages?limit=4"
        cursor = await self._page(path, shown)
        for _ in range(2):
            cursor = cursor and await self._page(f"{path}&cursor={cursor}", shown)
        self._client.check("messages", room.faults_of_page(known, shown, whole=cursor is None))

    async def _page(self, path: str, shown: list[Any]) -> str | None:
        """Read on: the cursor of what follows."""
        told = await self._client.ask("messages", "GET", path)
        if not self._client.due("messages", told, 200):
            return ""
        shown += told.body["data"]
        cursor: str | None = told.body["meta"]["nextCursor"]
        return cursor

    async def _show(self) -> None:
        room = self._chance.choice(self._account.rooms)
        known = room.known
        if shown := await self._shown("show", f"/api/v1/conversations/{room.id}"):
            self._client.check("show", room.faults_of_conversation(known, shown))

    async def _list(self) -> None:
        """Rooms in which somebody has written are open, and at the top."""
        known = {room.id: (room, room.known) for room in self._account.rooms}
        told = await self._client.ask("list", "GET", f"/api/v1/conversations?status=open&limit={LISTED}")
        if not self._client.due("list", told, 200):
            return
        shown = {row["id"]: row for row in told.body["data"]}
        strangers = {id for id, row in shown.items() if row["inbox"]["id"] not in self._account.inboxes}
        missed = {id for id, (_, written) in known.items() if written} - shown.keys()
        order = [row["lastActivityAt"] for row in shown.values()]
        sound = not strangers and not missed and order == sorted(order, reverse=True)
        self._client.check("list", [] if sound else [f"strangers {strangers}, missed {missed}, order {order}"])
        for id in known.keys() & shown.keys():
            room, written = known[id]
            self._client.check("list", room.faults_of_conversation(written, shown[id]))

    async def _browse(self) -> None:
        """Conversations in which nobody writes."""
        status = self._chance.choice(("pending", "resolved"))
        told = await self._client.ask("list", "GET", f"/api/v1/conversations?status={status}&limit={LISTED}")
        if self._client.due("list", told, 200):
            shown = [(row["status"], row["inbox"]["id"] in self._account.inboxes) for row in told.body["data"]]
            self._client.check("list", [] if shown == [(status, True)] * LISTED else [f"{status}: {shown}"])

    async def _show_desk(self) -> None:
        desk, status = self._chance.choice(self._account.desks)
        await self._read(status, "show", f"/api/v1/conversations/{desk}", "status", desk)

    async def _show_user(self) -> None:
        id, name = self._chance.choice(list(self._account.names.items()))
        await self._read(name, "user", f"/api/v1/users/{id}", "name", id)

    async def _show_settings(self) -> None:
        path = f"/api/v1/accounts/{self._account.id}/settings"
        await self._read(self._account.timezone, "settings", path, "timezone")

    async def _show_inbox(self) -> None:
        id, name = self._chance.choice(list(self._account.inboxes.items()))
        await self._read(name, "inbox", f"/api/v1/inboxes/{id}", "name", id)

    async def _move(self) -> None:
        desk, status = self._account.desks[self._desk]
        await self._change(status, "status", f"/api/v1/conversations/{desk}", "status", self._chance.choice(STATUSES))

    async def _rename(self) -> None:
        name = f"Name {next(self._log.numbers)}"
        await self._change(self._account.names[self.id], "rename", f"/api/v1/users/{self.id}", "name", name)

    async def _set(self) -> None:
        path, timezone = f"/api/v1/accounts/{self._account.id}/settings", self._chance.choice(TIMEZONES)
        await self._change(self._account.timezone, "set", path, "timezone", timezone)

    async def _label(self) -> None:
        id, name = self._chance.choice(list(self._account.inboxes.items()))
        await self._change(name, "label", f"/api/v1/inboxes/{id}", "name", f"Inbox {next(self._log.numbers)}")

    async def _read(self, changing: Changing[Any], what: str, path: str, field: str, id: int | None = None) -> None:
        known = changing.known
        if shown := await self._shown(what, path):
            self._client.check(what, [] if shown.get("id") == id else [f"{shown} instead of {id}"])
            self._client.check(what, changing.faults(known, shown[field]))

    async def _change(self, changing: Changing[Any], what: str, path: str, field: str, value: str) -> None:
        changing.begin(value)
        told = await self._client.ask(what, "PATCH", path, {field: value})
        changing.end()
        if self._client.due(what, told, 200):
            self._client.check(what, changing.faults(changing.known, told.body["data"][field]))

    async def _shown(self, what: str, path: str) -> Any:
        told = await self._client.ask(what, "GET", path)
        return told.body["data"] if self._client.due(what, told, 200) else None
