from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Scope

from proxy.address import Address
from proxy.dial import Dial
from proxy.errors import Refused
from proxy.faults import ConfigError
from proxy.native import Absent, Embedded, Remote, import_app
from proxy.pool import Limits, Pool
from proxy.tasks import Tasks
from proxy.upstream import Upstream
from proxy.watchdog import NATIVE
from shadow.ask import Asker
from tests.fidelity.origin import running_origin
from tests.proxy import apps
from tests.proxy.ends import NOBODY, at
from tests.proxy.stage import eventually

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": []}


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.close()


async def body_of(app: ASGIApp) -> bytes:
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    inbox.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(dict(SCOPE), inbox.get, send)
    return b"".join(message.get("body", b"") for message in sent)


def test_an_app_is_found_by_its_import_string() -> None:
    assert import_app("tests.proxy.apps:answers") is apps.answers


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tests.proxy.nowhere:app", "ModuleNotFoundError: No module named 'tests.proxy.nowhere'"),
        ("tests.proxy.apps:nothing", "AttributeError: module 'tests.proxy.apps' has no attribute 'nothing'"),
    ],
)
def test_an_app_that_cannot_be_imported_is_a_fault_of_the_configuration(name: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        import_app(name)
    [fault] = error.value.faults
    assert (fault.place, fault.message) == ("native.app", f"cannot import {name}: {words}")


async def test_absent_is_never_ready() -> None:
    native = Absent()
    native.start()
    assert not native.ready
    with pytest.raises(Refused):
        await body_of(native)
    await native.stop()


async def test_an_app_without_a_lifespan_is_ready(tasks: Tasks) -> None:
    native = Embedded(apps.answers, tasks)
    assert not native.ready
    native.start()
    await eventually(lambda: native.ready)
    assert await body_of(native) == b"GET /x "
    await native.stop()
    assert len(tasks) == 0


async def test_an_app_is_ready_when_its_lifespan_has_started_and_keeps_its_state(tasks: Tasks) -> None:
    native = Embedded(apps.needs, tasks)
    native.start()
    await eventually(lambda: native.ready)
    assert await body_of(native) == b"ready: True"
    await native.stop()
    assert len(tasks) == 0
    assert not native.ready


async def test_a_start_that_fails_is_tried_again(tasks: Tasks) -> None:
    apps.attempts.clear()
    native = Embedded(apps.starts_late, tasks)
    native.start()
    await eventually(lambda: native.ready)
    assert len(apps.attempts) == 2
    await native.stop()


async def test_an_app_that_does_not_end_is_cancelled_with_the_other_tasks(tasks: Tasks) -> None:
    async def endless(scope: Scope, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.Event().wait()

    native = Embedded(endless, tasks, patience=0.01)
    native.start()
    await eventually(lambda: native.ready)
    await native.stop()
    await tasks.close()
    assert len(tasks) == 0


async def asked(native: Embedded) -> bytes:
    """What it answers whoever asks in a task of his own."""
    return await asyncio.wait_for(body_of(native.asked), 20)


@pytest.mark.parametrize("by", [body_of, asked])
@pytest.mark.parametrize(("app", "words"), [(apps.exits, "SystemExit"), (apps.exits_in_groups, "BaseExceptionGroup")])
async def test_an_app_that_would_end_the_process_has_failed_and_nothing_more(
    tasks: Tasks, app: ASGIApp, words: str, by: Callable[[Embedded], Awaitable[bytes]]
) -> None:
    native = Embedded(app, tasks)
    native.start()
    await eventually(lambda: native.ready)
    with pytest.raises(RuntimeError, match=words):
        await by(native)
    assert len(tasks) == 0


async def test_a_start_that_would_end_the_process_is_tried_again(tasks: Tasks) -> None:
    starts = 0

    async def ends_first(scope: Scope, receive: Any, send: Any) -> None:
        nonlocal starts
        starts += 1
        await receive()
        if starts == 1:
            raise SystemExit("no such database")
        await send({"type": "lifespan.startup.complete"})
        await receive()

    native = Embedded(ends_first, tasks)
    native.start()
    await eventually(lambda: native.ready)
    assert starts == 2
    await native.stop()


async def test_whoever_asks_in_a_task_of_his_own_sees_what_clings_to_it(tasks: Tasks) -> None:
    let_go = asyncio.Event()

    async def clings(scope: Scope, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await let_go.wait()

    native = Embedded(clings, tasks)
    asker = Asker(limit=1_000, patience=0.01)
    scope = {**SCOPE, "strangler.route": "read"}
    while not asker.strays:  # on a busy machine its time may be over before it has begun
        seen = await asker.ask(native.asked, scope, b"", seconds=0.01)
    (stray,) = asker.strays
    assert (seen.error, stray.get_name()) == ("deadline", NATIVE + "read")  # by which the watchdog knows it
    let_go.set()
    await eventually(lambda: not asker.strays)


def remote(tasks: Tasks, *addresses: Address) -> Remote:
    return Remote(Upstream(Pool(Dial("native", addresses), Limits()), tasks), tasks)


async def test_a_remote_is_ready_while_it_takes_connections(tasks: Tasks) -> None:
    async with running_origin() as origin:
        native = remote(tasks, at(origin))
        assert not native.ready
        native.start()
        await eventually(lambda: native.ready)
        assert await body_of(native) == b"ok"
        await native.stop()
    with pytest.raises(Refused):
        await body_of(native)
    assert not native.ready


async def test_a_remote_is_ready_while_any_of_its_addresses_takes_connections(tasks: Tasks) -> None:
    async with running_origin() as origin:
        native = remote(tasks, NOBODY, at(origin))
        native.start()
        await eventually(lambda: native.ready)
        for _ in range(3):
            assert await body_of(native) == b"ok"
        assert native.ready
        await native.stop()


async def test_a_remote_that_is_not_there_is_not_ready(tasks: Tasks) -> None:
    native = remote(tasks, NOBODY)
    native.start()
    with pytest.raises(Refused):
        await body_of(native)
    assert not native.ready
    await native.stop()
