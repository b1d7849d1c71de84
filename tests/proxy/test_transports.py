from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.transports import is_left, is_quiet, reset
from tests.fidelity.origin import running_origin
from tests.fidelity.wire import Gone
from tests.proxy.certificates import self_signed
from tests.proxy.ends import tls_origin
from tests.proxy.stage import eventually


class Looks(asyncio.Protocol):
    """Looks at its transport as it is told that it has ended."""

    def __init__(self) -> None:
        self.seen: list[bool] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        reset(self.transport)
        self.seen += [is_quiet(self.transport), is_left(self.transport)]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_transport_that_has_ended_can_be_looked_at_and_is_neither_quiet_nor_there(
    tls: bool, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        secured: dict[str, Any] = {}
        if tls:
            pair = self_signed(tmp_path, "localhost")
            origin, _ = await stack.enter_async_context(tls_origin(pair))
            context = ssl.create_default_context(cafile=str(pair.certificate))
            secured = {"ssl": context, "server_hostname": "localhost"}
        else:
            origin = await stack.enter_async_context(running_origin())
        origin.begin((Gone(),))
        loop = asyncio.get_running_loop()
        _, looks = await loop.create_connection(Looks, "127.0.0.1", origin.port, **secured)
        assert (is_quiet(looks.transport), is_left(looks.transport)) == (True, False)
        await eventually(lambda: origin.open == 1)
        origin.end()
        await eventually(lambda: bool(looks.seen))
        assert looks.seen == [False, True]
