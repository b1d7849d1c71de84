"""Testers, who choose their side by a token: through the whole proxy, beside everybody else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flags.flag import Side
from proxy.forcing import NAME, Force
from proxy.signature import Secret
from tests.fidelity.cases import answer
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Until, Whole, connected
from tests.proxy.stage import Stage, eventually, staged

SECRET = "0123456789abcdef0123456789abcdef"
LEGACY = answer("200 OK", b"Content-Length: 6", body=b"legacy")
ROUTES = [{"name": "read", "match": "GET /things/{id}"}, {"name": "write", "match": "POST /things"}]


def token(side: Side = Side.NATIVE, *routes: str, lasts: float = 3600, secret: str = SECRET) -> str:
    force = Force(side, frozenset(routes), int(time.time() + lasts), "anna")
    return force.token(Secret(secret.encode()))


@asynccontextmanager
async def with_testers(
    directory: Path, native: str = "answers", **sections: Any
) -> AsyncIterator[tuple[Stage, Origin]]:
    secret = directory / "secret"
    secret.write_text(SECRET)
    async with running_origin() as origin:
        origin.begin((Whole(), LEGACY))
        config: dict[str, Any] = {
            "legacy": {"url": f"http://127.0.0.1:{origin.port}"},
            "native": {"app": f"tests.proxy.apps:{native}"},
            "secret": str(secret),
            "routes": ROUTES,
            **sections,
        }
        async with staged(**config) as stage:
            yield stage, origin


@pytest.mark.parametrize("carrier", ["header", "cookie"])
async def test_a_tester_has_native_while_every_share_is_nothing_and_his_token_goes_no_further(
    carrier: str, tmp_path: Path
) -> None:
    by = {NAME: token()} if carrier == "header" else {"Cookie": f"sid=1; {NAME}={token()}"}
    async with with_testers(tmp_path) as (stage, origin):
        assert (await stage.user.get("/things/1", headers=by)).text == "GET /things/1 "
        assert (await stage.user.post("/things", headers=by, content=b"abc")).text == "POST /things abc"
        assert (await stage.user.get("/things/1")).text == "legacy"
        assert (await stage.user.get("/other", headers=by)).text == "legacy"
        received = [value for message in origin.received for _, value in message.headers]
        assert not any(b"anna" in value for value in received)
        assert (b"sid=1" in received) is (carrier == "cookie")
        assert stage.metric("forced_total", route="read", side="native") == 1


async def test_a_tester_has_legacy_where_native_answers_everybody(tmp_path: Path) -> None:
    routes = [{**route, "share": "100%"} for route in ROUTES]
    async with with_testers(tmp_path, routes=routes) as (stage, _):
        headers = {NAME: token(Side.LEGACY, "read")}
        assert (await stage.user.get("/things/1", headers=headers)).text == "legacy"
        assert (await stage.user.post("/things", headers=headers)).text == "POST /things "
        assert stage.metric("forced_total", route="read", side="legacy") == 1


@pytest.mark.parametrize(
    "given",
    [
        token(lasts=-1),
        token(Side.NATIVE, "write"),
        token(secret="another secret of another fleet..."),
        "native",
        "",
    ],
    ids=["expired", "for another route", "another's", "plain", "empty"],
)
async def test_a_token_that_is_worth_nothing_changes_nothing(given: str, tmp_path: Path) -> None:
    async with with_testers(tmp_path) as (stage, origin):
        headers = {NAME: given, "Cookie": f"{NAME}={given}"}
        assert (await stage.user.get("/things/1", headers=headers)).text == "legacy"
        assert {name.lower() for name, _ in origin.received[0].headers} & {b"cookie", NAME.lower().encode()} == set()
        assert stage.metric("requests_total", route="read", side="legacy", outcome="ok") == 1
        assert stage.metric("forced_total", route="read", side="legacy") == 0


async def test_without_a_secret_nobody_is_believed(tmp_path: Path) -> None:
    async with with_testers(tmp_path, secret=None) as (stage, _):
        assert (await stage.user.get("/things/1", headers={NAME: token()})).text == "legacy"


async def test_a_trip_wins_over_a_token(tmp_path: Path) -> None:
    async with with_testers(tmp_path) as (stage, _):
        headers = {NAME: token()}
        assert (await stage.user.get("/things/1", headers=headers)).text == "GET /things/1 "
        await stage.strangler.loop.rollback("read", "it looked odd")
        assert (await stage.user.get("/things/1", headers=headers)).text == "legacy"


async def test_a_native_that_fails_its_testers_is_no_evidence_and_they_are_answered(tmp_path: Path) -> None:
    async with with_testers(tmp_path, native="fails") as (stage, _):
        await stage.strangler.loop.set("read", share=1)
        for _ in range(20):
            assert (await stage.user.get("/things/1", headers={NAME: token()})).text == "legacy"
        assert stage.metric("requests_total", route="read", side="native", outcome="failed") == 20
        assert stage.metric("fallbacks_total", route="read") == 20
        assert stage.strangler.loop.window.cells() == {}


async def test_a_tester_s_requests_are_compared_as_often_as_anybody_s(tmp_path: Path) -> None:
    routes = [{**ROUTES[0], "shadow": "100%"}]
    async with with_testers(tmp_path, routes=routes) as (stage, origin):
        await stage.user.get("/things/1", headers={NAME: token()})
        compared = {"route": "read", "candidate": "legacy", "outcome": "mismatched"}
        await eventually(lambda: stage.metric("comparisons_total", **compared) == 1)
        assert [message.start.split()[1] for message in origin.received[:1]] == [b"/things/1"]
        assert not any(name.lower() == NAME.lower().encode() for m in origin.received for name, _ in m.headers)


async def test_a_token_among_what_is_pipelined_is_for_its_own_request_alone(tmp_path: Path) -> None:
    async with with_testers(tmp_path) as (stage, _), connected(stage.port) as user:
        plain = b"GET /things/1 HTTP/1.1\r\nHost: example.test\r\n"
        await user.send(plain + f"{NAME}: {token()}\r\n\r\n".encode() + plain + b"\r\n")
        await user.until(lambda: b"legacy" in user.raw)
        assert bytes(user.raw).index(b"GET /things/1 ") < bytes(user.raw).index(b"legacy")


async def test_an_upgrade_takes_no_token_along(tmp_path: Path) -> None:
    async with with_testers(tmp_path) as (stage, origin), connected(stage.port) as user:
        refusal = answer("426 Upgrade Required", b"Content-Length: 0")
        origin.begin((Until(b"\r\n\r\n"), refusal))
        await user.send(
            b"GET /cable HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + f"Cookie: sid=1; {NAME}={token()}\r\n\r\n".encode()
        )
        await user.until(lambda: b"426" in user.raw)
        (message,) = origin.received
        assert [value for name, value in message.headers if name.lower() == b"cookie"] == [b"sid=1"]
