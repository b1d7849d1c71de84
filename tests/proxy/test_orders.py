"""What an operator is told when the port that is asked does not answer as it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.service import LOOPBACK, free_port
from proxy.address import Address
from proxy.orders import OrderFailed, Orders

Answer = Callable[[bytes], bytes | None]


@asynccontextmanager
async def port_that(answers: Answer) -> AsyncIterator[int]:
    """A port that reads a request and writes what `answers` makes of it; nothing at all for None."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = answers(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, LOOPBACK, 0) as server:
        yield server.sockets[0].getsockname()[1]


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def orders(listen: str, tokens: Path | None = None, patience: float = 5.0) -> Orders:
    return Orders(Address.parse(listen), tokens, patience)


def asked(orders: Orders, method: str = "GET", path: str = "/flags") -> Awaitable[dict[str, Any]]:
    return asyncio.to_thread(orders.ask, method, path)


def test_where_no_proxy_runs_the_operator_hears_that_nothing_changed() -> None:
    port = free_port()
    with pytest.raises(OrderFailed, match=f"no proxy answers at {LOOPBACK}:{port}.*nothing changed.*strangler serve"):
        orders(f"{LOOPBACK}:{port}").ask("GET", "/flags")


async def test_where_a_proxy_stays_silent_nobody_claims_that_nothing_changed() -> None:
    async with port_that(lambda request: None) as port:
        with pytest.raises(OrderFailed, match=r"may or may not have taken the order.*strangler status"):
            await asked(orders(f"{LOOPBACK}:{port}", patience=0.1))


async def test_an_order_may_have_a_patience_of_its_own() -> None:
    async with port_that(lambda request: None) as port:
        with pytest.raises(OrderFailed, match="did not answer"):
            await asyncio.to_thread(orders(f"{LOOPBACK}:{port}", patience=600.0).ask, "POST", "/rollback", {}, 0.1)


@pytest.mark.parametrize("body", ["<html>It works!</html>", "[]", '"text"', ""])
async def test_another_server_at_that_address_is_not_mistaken_for_a_proxy(body: str) -> None:
    async with port_that(lambda request: http("200 OK", body)) as port:
        with pytest.raises(OrderFailed, match="not a strangler's admin port"):
            await asked(orders(f"{LOOPBACK}:{port}"))


async def test_a_refusal_is_passed_on_in_its_own_words() -> None:
    async with port_that(lambda request: http("409 Conflict", '{"error": "things.list is tripped"}')) as port:
        with pytest.raises(OrderFailed, match=r"^things\.list is tripped$"):
            await asked(orders(f"{LOOPBACK}:{port}"))
    async with port_that(lambda request: http("401 Unauthorized", '{"error": "a token is needed"}')) as port:
        with pytest.raises(OrderFailed, match=r"a token is needed.*STRANGLER_TOKEN"):
            await asked(orders(f"{LOOPBACK}:{port}"))


async def test_the_token_is_the_environment_s_or_else_the_first_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []
    tokens = tmp_path / "tokens"
    tokens.write_text("\n  first-token\nsecond-token\n")

    def note(request: bytes) -> bytes:
        heads.append(request)
        return http("200 OK", "{}")

    async with port_that(note) as port:
        monkeypatch.delenv("STRANGLER_TOKEN", raising=False)
        assert await asked(orders(f"{LOOPBACK}:{port}", tokens)) == {}
        assert await asked(orders(f"{LOOPBACK}:{port}")) == {}
        monkeypatch.setenv("STRANGLER_TOKEN", "from-the-environment")
        assert await asked(orders(f"{LOOPBACK}:{port}", tokens)) == {}
    of_file, without, of_environment = heads
    assert b"Bearer first-token\r\n" in of_file
    assert b"authorization" not in without.lower()
    assert b"Bearer from-the-environment\r\n" in of_environment


@pytest.mark.parametrize(("listen", "asks"), [("0.0.0.0:9901", "127.0.0.1"), ("[::]:9901", "::1")])
def test_a_port_that_listens_everywhere_is_asked_on_this_machine(listen: str, asks: str) -> None:
    assert orders(listen).address.host == asks
