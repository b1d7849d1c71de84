"""Readers and writers of one conversation's messages that are stepped through the cache's protocol, on either side."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any, Protocol

from handlers.cache import Cache
from handlers.entries import first_page, of_message
from handlers.resources import Resources

ACCOUNT = 1
IDS = "select id from messages where conversation_id = %s order by id"
WRITE = """
insert into messages (account_id, inbox_id, conversation_id, user_id, direction, content, created_at, updated_at)
values (1, 1, %s, 2, 'outgoing', 'stepped', now(), now()) returning id
"""


class Actor(Protocol):
    """Each call goes on to the next pause, and tells where that is: a reader stops at `miss` and `read`, a writer at
    `written`, `marked` and `committed:<id>`. `done` has the answer behind it, after a space."""

    async def begin(self, role: str) -> str: ...

    async def tell(self, word: str) -> str: ...


class Legacy:
    def __init__(self, process: subprocess.Popen[str], number: int, conversation: int) -> None:
        self._process, self._number, self._conversation = process, number, conversation

    async def begin(self, role: str) -> str:
        return self.ask({"begin": role, "conversation": self._conversation})

    async def tell(self, word: str) -> str:
        return self.ask({"tell": word})

    def ask(self, command: dict[str, Any]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command | {"actor": self._number}) + "\n")
        self._process.stdin.flush()
        # Nothing else in this process need go on meanwhile: all others stand at a pause.
        answer = json.loads(self._process.stdout.readline())
        assert answer["at"] != "failed", answer["error"]
        return f"done {answer['answer']}" if answer["at"] == "done" else str(answer["at"])


def restart(process: subprocess.Popen[str]) -> None:
    """What the process knew is forgotten."""
    Legacy(process, 0, 0).ask({"restart": True})


class Native:
    """Usually with a cache of its own: no flight is shared, as between processes."""

    def __init__(self, held: Resources, conversation: int, cache: Cache | None = None) -> None:
        self._held, self._conversation = held, conversation
        self._cache = cache or Cache(held)
        self._told: asyncio.Queue[None] = asyncio.Queue()
        self._come: asyncio.Queue[str] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def begin(self, role: str) -> str:
        self._task = asyncio.get_running_loop().create_task(self._live(role))
        return await self._next()

    async def tell(self, word: str) -> str:
        assert self._task is not None
        if word == "die":
            self._task.cancel()
            await asyncio.wait([self._task])
            return "dead"
        self._told.put_nowait(None)
        return await self._next()

    async def _next(self) -> str:
        assert self._task is not None
        come = asyncio.get_running_loop().create_task(self._come.get())
        await asyncio.wait([come, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not come.done():
            come.cancel()
            self._task.result()
        return await come

    async def _live(self, role: str) -> None:
        answer = await (self._read() if role == "reader" else self._write())
        self._come.put_nowait(f"done {answer}")

    async def _pause(self, place: str) -> None:
        self._come.put_nowait(place)
        await self._told.get()

    async def _read(self) -> str:
        async def load() -> bytes:
            await self._pause("miss")
            connection = await self._held.take()
            rows = await (await connection.execute(IDS, [self._conversation])).fetchall()
            await self._held.give_back(connection)
            await self._pause("read")
            return json.dumps([id for (id,) in rows]).encode()

        answer = await self._cache.fetch(first_page(self._conversation, ACCOUNT), ACCOUNT, load)
        assert answer is not None
        return answer.decode()

    async def _write(self) -> None:
        connection = await self._held.take()
        try:
            await connection.execute("begin read write")
            row = await (await connection.execute(WRITE, [self._conversation])).fetchone()
            assert row is not None
            await self._pause("written")
            marks = await self._cache.mark(connection, of_message(self._conversation, ACCOUNT))
            await self._pause("marked")
            await connection.execute("commit")
            await self._pause(f"committed:{row[0]}")
            await self._cache.forget(marks)
        finally:
            await self._held.give_back(connection)  # which rolls back what is open


def start_stepping(environment: dict[str, str], directory: Path) -> subprocess.Popen[str]:
    """The Rails application, waiting for commands."""
    script = Path(__file__).parent / "stepping.rb"
    with (directory / "stepping.log").open("w") as log:
        process = subprocess.Popen(
            ["bundle", "exec", "rails", "runner", str(script)],
            cwd=Path(__file__).parent.parent.parent / "legacy",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    ready = process.stdout.readline()
    assert json.loads(ready or '{"at": ""}') == {"at": "ready"}, (directory / "stepping.log").read_text()
    return process
