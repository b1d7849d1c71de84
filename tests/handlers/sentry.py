"""Where Sentry would listen: an HTTP server that takes envelopes and keeps the events in them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from demo.service import free_port

Event = dict[str, Any]


@dataclass(slots=True)
class Sentry:
    port: int
    status: int = 200
    refused: int = 0
    _told: list[tuple[str, Event]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def dsn(self, project: int = 1) -> str:
        return f"http://key@127.0.0.1:{self.port}/{project}"

    def events(self, project: int = 1) -> list[Event]:
        return [event for path, event in self._told if path == f"/api/{project}/envelope/"]

    def expect(self, count: int, project: int = 1, within: float = 30.0) -> list[Event]:
        """The events of a project, once there are so many of them."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.events(project)) >= count, within)
        assert came, f"{count} events were expected, {len(self.events(project))} came"
        return self.events(project)

    def take(self, path: str, envelope: bytes) -> None:
        _, *lines = envelope.split(b"\n")
        items = zip(lines[::2], lines[1::2], strict=False)  # each a line of headers, and its payload on one line
        with self._changed:
            if self.status != 200:
                self.refused += 1
            else:
                self._told += [(path, json.loads(item)) for head, item in items if json.loads(head)["type"] == "event"]
            self._changed.notify_all()


@contextmanager
def listening() -> Iterator[Sentry]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            # Packed by whatever the SDK finds installed.
            sentry.take(self.path, httpx.Response(200, headers=dict(self.headers), content=body).content)
            self.send_response(sentry.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", free_port()), Handler) as server:
        sentry = Sentry(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield sentry
        finally:
            server.shutdown()
            thread.join()
