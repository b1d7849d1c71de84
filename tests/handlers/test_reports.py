from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sentry_sdk
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from handlers import inputs
from handlers.auth import authenticate
from handlers.errors import NotFound, ServiceUnavailable
from handlers.inputs import Input
from handlers.reports import Reports, masked
from handlers.resources import Settings
from handlers.unit import Scoped, unit_of_work
from tests.handlers import sentry
from tests.handlers.relay import Relay
from tests.handlers.sentry import Sentry
from tests.handlers.serving import AGENT, bearer, serving

SECRET = "Geheimnis"
ASKED: dict[str, Any] = {"request_id": "mine", "method": "GET", "path": "/x"}


@pytest.fixture
def there() -> Iterator[Sentry]:
    with sentry.listening() as there:
        yield there


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("division by zero", "division by zero"),
        ("", ""),
        (
            f"invalid input syntax for type bigint: \"{SECRET}\"\nLINE 1: '{SECRET}'",
            "invalid input syntax for type bigint: […]",
        ),
        (f"new row violates a constraint\nDETAIL:  Failing row contains ({SECRET}).", "new row violates a constraint"),
        (f"KeyError: '{SECRET}'", "KeyError: […]"),
        (
            "no such token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
            "no such token: […]",
        ),
        (f"redis://:{SECRET}@host:1/0 is away", "redis[…]host:1/0 is away"),
    ],
)
def test_what_an_exception_quotes_is_not_told(text: str, told: str) -> None:
    assert masked(text) == told


class Given(Input):
    password: str | None = None


WRITE = Scoped("insert into messages (account_id, content) values (%(account_id)s, %(content)s)")


async def fail(request: Request) -> Response:
    authenticate(request)
    given = await inputs.body(request, Given)
    raise ValueError(f"cannot use {given.password!r}")


async def violate(request: Request) -> Response:
    caller = authenticate(request)
    given = await inputs.body(request, Given)
    async with unit_of_work(request, caller) as unit:
        await unit.execute(WRITE, content=given.password)
    return Response()


async def miss(request: Request) -> Response:
    raise NotFound


async def want(request: Request) -> Response:
    raise ServiceUnavailable


ROUTES = [Route(f"/{handler.__name__}", handler, methods=["GET", "POST"]) for handler in (fail, violate, miss, want)]


@pytest.mark.parametrize(("path", "kind"), [("/fail", "ValueError"), ("/violate", "NotNullViolation")])
async def test_a_bug_is_told_with_its_request_and_nothing_of_what_the_user_sent(
    path: str, kind: str, settings: Settings, there: Sentry
) -> None:
    async with serving(replace(settings, sentry_dsn=there.dsn()), ROUTES) as client:
        headers = {"X-Request-Id": "mine", "Cookie": f"session={SECRET}"}
        answer = await client.post(f"{path}?token={SECRET}", json={"password": SECRET}, headers=headers)
        assert answer.status_code == 500
    (event,) = there.expect(1)
    assert event["request"] == {"method": "POST", "url": path}
    assert event["tags"] == {"request_id": "mine", "account_id": str(AGENT.account_id)}
    assert event["user"] == {"id": str(AGENT.user_id)}
    exceptions = event["exception"]["values"]
    assert kind in [exception["type"] for exception in exceptions]
    assert exceptions[-1]["stacktrace"]["frames"]
    said = str(event)
    assert SECRET not in said
    assert bearer(settings)["Authorization"].split()[1] not in said
    assert "'vars'" not in said


async def test_a_shadows_bug_is_told_as_one(settings: Settings, there: Sentry) -> None:
    async with serving(replace(settings, sentry_dsn=there.dsn()), ROUTES) as client:
        await client.post("/fail", json={}, headers={"X-Strangler-Shadow": "1"})
    (event,) = there.expect(1)
    assert event["tags"]["shadow"] == "True"


async def test_what_is_no_bug_is_not_told(settings: Settings, there: Sentry) -> None:
    async with serving(replace(settings, sentry_dsn=there.dsn()), ROUTES) as client:
        for path, status in [("/miss", 404), ("/want", 503), ("/nowhere", 404), ("/fail", 500)]:
            assert (await client.post(path, json={})).status_code == status
    (event,) = there.expect(1)  # the last one's: they are told in their order
    assert event["request"]["url"] == "/fail"


async def test_events_that_are_still_to_be_sent_are_sent_when_the_application_stops(
    settings: Settings, there: Sentry
) -> None:
    reports = Reports(there.dsn())
    for _ in range(20):
        reports.tell(ValueError(), ASKED)
    await reports.close()
    assert len(there.events()) == 20


async def test_without_a_dsn_nothing_is_told_and_the_processs_own_client_is_left_alone(there: Sentry) -> None:
    reports = Reports("")
    reports.tell(ValueError(), ASKED)
    await reports.close()
    assert not sentry_sdk.is_initialized()
    Reports(there.dsn()).tell(ValueError(), ASKED)
    assert not sentry_sdk.is_initialized()


async def test_a_sentry_that_hangs_holds_up_no_request_and_no_end_for_long(settings: Settings, there: Sentry) -> None:
    async with Relay(f"http://key@127.0.0.1:{there.port}/1") as way:
        way.freeze()
        async with serving(replace(settings, sentry_dsn=way.url), ROUTES) as client:
            for _ in range(150):  # more than the queue takes
                assert (await client.post("/fail", json={})).status_code == 500
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 20
    assert there.events() == []


async def test_a_sentry_that_refuses_is_left_alone(settings: Settings, there: Sentry) -> None:
    there.status = 429
    async with serving(replace(settings, sentry_dsn=there.dsn()), ROUTES) as client:
        for _ in range(3):
            assert (await client.post("/fail", json={})).status_code == 500
    assert there.events() == []
    assert there.refused == 1
