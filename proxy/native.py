"""The native side: an ASGI app in this process, or one behind an address. Either says whether it is ready.

Not ready means that its routes are answered by legacy, which is no failure of theirs.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any, Protocol, cast

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tenacity import retry, wait_exponential

from proxy.errors import Refused
from proxy.faults import ConfigError, Fault
from proxy.tasks import Tasks
from proxy.upstream import Upstream
from proxy.watchdog import NATIVE

log = structlog.get_logger()
PROBE_EVERY = 1.0  # seconds


def import_app(name: str) -> ASGIApp:
    """The ASGI app that an import string names; a ConfigError says why it cannot be had."""
    module, _, attributes = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (Exception, SystemExit) as error:
        raise ConfigError([Fault("native.app", f"cannot import {name}: {type(error).__name__}: {error}")]) from error
    if not callable(found):
        raise ConfigError(
            [Fault("native.app", f"{name} is no ASGI application: a {type(found).__name__} cannot be called")]
        )
    return cast(ASGIApp, found)


class Native(Protocol):
    @property
    def ready(self) -> bool: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class Absent:
    """No native side is configured: everything stays legacy."""

    ready = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise Refused("no native side is configured")

    def start(self) -> None:
        return

    async def stop(self) -> None:
        return


class Embedded:
    """An ASGI app in this process. Ready once its lifespan has started; a start that fails is tried again.

    `patience`: seconds that its end may take.
    """

    def __init__(self, app: ASGIApp, tasks: Tasks, patience: float = 5.0) -> None:
        self._app, self._tasks, self._patience = app, tasks, patience
        self._life: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._state: dict[str, Any] = {}
        self.ready = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ends at once when cancelled, though the app may take its time: what it still asks or sends reaches nobody."""
        over = False
        faults: list[Exception] = []

        async def receive_while_asked() -> Message:
            _refuse_if(over)
            return await receive()

        async def send_while_asked(message: Message) -> None:
            _refuse_if(over)
            await send(message)

        async def serve() -> None:
            try:
                await self._answer(scope, receive_while_asked, send_while_asked)
            except Exception as fault:
                faults.append(fault)

        serving = self._tasks.start(serve(), _named(scope))
        try:
            await asyncio.wait([serving])
        finally:
            over = True
            serving.cancel()
        if faults:
            raise faults[0]

    async def asked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The same in the caller's own task, for whoever keeps count of what takes its time to end."""
        task = asyncio.current_task()
        assert task is not None, "it is awaited"
        task.set_name(_named(scope))
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _only_failing(self._app, {**scope, "state": self._state.copy()}, receive, send)

    def start(self) -> None:
        self._life = self._tasks.start(self._live())

    async def stop(self) -> None:
        self._stopping.set()
        if self._life is not None:
            await asyncio.wait([self._life], timeout=self._patience)

    @retry(wait=wait_exponential(multiplier=0.2, max=5.0))
    async def _live(self) -> None:
        """Run the lifespan until `stop`; an app without one is ready at once."""
        outbox: asyncio.Queue[str] = asyncio.Queue()
        outbox.put_nowait("lifespan.startup")
        supported = False

        async def receive() -> Message:
            nonlocal supported
            supported = True
            if outbox.empty():
                await self._stopping.wait()
                return {"type": "lifespan.shutdown"}
            return {"type": outbox.get_nowait()}

        async def send(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                log.error("native did not start; its routes are answered by legacy", reason=message.get("message", ""))
            self.ready = message["type"] == "lifespan.startup.complete"

        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await _only_failing(self._app, scope, receive, send)
        except Exception:
            if supported:
                self.ready = False
                raise
            self.ready = True
        if not self.ready and not self._stopping.is_set():
            raise Refused("native did not start")


def _named(scope: Scope) -> str:
    """What the task is called in which the app answers: by that the watchdog knows it."""
    return NATIVE + str(scope.get("strangler.route"))


async def _only_failing(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Await the app, which may fail, but not end the process: asyncio hands `sys.exit` in a task to whoever runs the
    loop. None of this is the process's own, whose signals the loop takes."""
    try:
        await app(scope, receive, send)
    except Exception:
        raise
    except (SystemExit, KeyboardInterrupt, BaseExceptionGroup) as end:
        raise RuntimeError(repr(end)) from end


def _refuse_if(over: bool) -> None:
    if over:
        raise OSError("nobody waits for this answer any more")


class Remote:
    """An app behind an address. Ready while it takes connections: looked at every second, and at every refusal."""

    def __init__(self, upstream: Upstream, tasks: Tasks) -> None:
        self._upstream, self._tasks = upstream, tasks
        self._probing: asyncio.Task[None] | None = None
        self.ready = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._upstream(scope, receive, send)
        except Refused:
            self.ready = False
            raise

    def start(self) -> None:
        self._probing = self._tasks.start(self._probe())

    async def stop(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
        self._upstream.close()

    async def _probe(self) -> None:
        dial = self._upstream.pool.dial
        while True:
            self.ready = await dial.look(dial.addresses)
            await asyncio.sleep(PROBE_EVERY)
