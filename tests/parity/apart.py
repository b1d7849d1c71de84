"""Both sides with the same state, but each with its own: asked the same, a write of one is not seen by the other.

Two copies of one database advance alike, ids included, so that whole answers, and in the end whole databases, can be
compared.
"""

from __future__ import annotations

import http.client
import select
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from tests.parity import rules
from tests.parity.rules import Told
from tests.parity.sides import LEGACY, NATIVE, Case, Reply


class Line:
    """A client of one side that keeps its connection, and opens another where the server has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None

    def ask(self, case: Case, authorization: str | None) -> Reply:
        connection = self._connected()
        connection.sendall(case.wire(f"127.0.0.1:{self.port}", authorization, keep=True))
        response = http.client.HTTPResponse(connection, method=case.method)
        response.begin()
        body = response.read()
        if response.will_close:
            self.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        assert len(headers) == len(response.getheaders()), f"a header is repeated: {response.getheaders()}"
        return Reply(response.status, headers, body)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        # Between two answers a server has nothing to say: what can be read is the end.
        if self._socket is not None and select.select([self._socket], [], [], 0)[0]:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket


@dataclass(frozen=True, slots=True)
class Apart:
    """The two, and how often they were asked, and which rule explained how many pairs of answers."""

    lines: dict[str, Line]
    authorizations: dict[str, str] = field(repr=False)
    since: datetime
    threads: ThreadPoolExecutor
    explained: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    def compare(self, case: Case, native: Case | None = None) -> tuple[Reply, Reply]:
        """The same answer from both; `native` where what is asked holds something that is each side's own."""
        cases = {LEGACY: case, NATIVE: native or case}
        replies = dict(zip(cases, self.threads.map(self._ask, cases, cases.values()), strict=True))
        seen = {side: self.told(cases[side], reply) for side, reply in replies.items()}
        self.asked[f"{case.method} {case.name}"] += 1
        self.explained.update(seen[LEGACY].explained | seen[NATIVE].explained)
        assert seen[NATIVE].agrees(seen[LEGACY]), "\n".join(
            [f"both were asked {case}", *(f"{side} answered {reply}" for side, reply in replies.items())]
        )
        return replies[LEGACY], replies[NATIVE]

    def told(self, case: Case, reply: Reply) -> Told:
        return rules.told(reply, self.since, next((tag for name, tag in case.headers if name == "If-None-Match"), None))

    def each(self, case: Case, **own: tuple[str, str]) -> tuple[Reply, Reply]:
        """The same answer from both to a case of which some fields have a value for each side, legacy's first."""
        legacy, native = ({name: values[side] for name, values in own.items()} for side in (0, 1))
        return self.compare(replace(case, **legacy), replace(case, **native))

    def _ask(self, side: str, case: Case) -> Reply:
        return self.lines[side].ask(case, self.authorizations.get(case.token or "", case.token))
