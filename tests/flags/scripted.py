"""An Unleash whose words a test chooses: a server over TCP that can also be away, hang, dawdle and talk nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Definition = Mapping[str, Any]


@dataclass
class Scripted:
    """`body` is what it answers, `status` and `etag` with it; as None it hangs. `asked` are the request lines."""

    port: int = 0
    body: bytes | None = b'{"version": 2, "features": [], "meta": {"revisionId": 0}}'
    status: int = 200
    etag: str = '"0"'
    switches: int = 200
    denied: str = "/no-such-flag/"
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell(self, revision: int, *features: Definition, segments: Sequence[Definition] = ()) -> None:
        told = {"version": 2, "features": features, "segments": segments, "meta": {"revisionId": revision}}
        self.status, self.body, self.etag = 200, json.dumps(told).encode(), f'"{revision}"'

    def garble(self, body: bytes, status: int = 200) -> None:
        self.status, self.body, self.etag = status, body, '"garbled"'

    def hang(self) -> None:
        self.body = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.asked.append(head.partition("\r\n")[0].rpartition(" ")[0])
                writer.write(await self._answer(head))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, head: str) -> bytes:
        if self.body is None:
            await asyncio.Event().wait()
        if head.startswith("POST"):
            return _http(403 if self.denied in head else self.switches, b"{}")
        if f"if-none-match: {self.etag}\r\n" in head.lower() and self.status == 200:
            return _http(304, b"")
        return _http(self.status, self.body or b"", f"ETag: {self.etag}\r\n")


def _http(status: int, body: bytes, more: str = "") -> bytes:
    length = "" if status == 304 else f"Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {status} X\r\n{more}{length}\r\n".encode() + body


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    unleash = Scripted()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(unleash.serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    unleash.port = server.sockets[0].getsockname()[1]
    try:
        yield unleash
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def flag(name: str, *strategies: Definition, enabled: bool = True, **more: Any) -> dict[str, Any]:
    """A flag as Unleash tells clients of it."""
    return {"name": name, "enabled": enabled, "project": "default", "strategies": [*strategies], **more}


def rollout(percent: object, group: str | None = "default", **more: Any) -> dict[str, Any]:
    parameters = {"rollout": percent, "stickiness": more.pop("stickiness", "default")}
    return {
        "name": "flexibleRollout",
        "constraints": [],
        "parameters": parameters | ({} if group is None else {"groupId": group}),
        **more,
    }


def asks(field: str, *values: str, operator: str = "IN") -> dict[str, Any]:
    """A constraint."""
    return {
        "contextName": field,
        "operator": operator,
        "values": [*values],
        "inverted": False,
        "caseInsensitive": False,
    }
