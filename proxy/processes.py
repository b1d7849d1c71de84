"""What `strangler` runs until it is told to stop: the proxy, or the native side on its own."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import structlog
import uvloop
from starlette.types import Message, Receive, Scope, Send

from proxy.address import Address
from proxy.app import Strangler
from proxy.config import Config
from proxy.contradictions import Values
from proxy.faults import ConfigError, Fault
from proxy.line import Line
from proxy.logs import configure
from proxy.memory import gather
from proxy.native import import_app
from proxy.post import Post
from proxy.pulse import Pulse
from proxy.sections import Native
from proxy.server import DRAIN, Server, listen, settle
from proxy.sockets import Doors

log = structlog.get_logger()


def app_faults(values: Values) -> Iterator[Fault]:
    """Why the app that a configuration names cannot be had, whoever is to run it."""
    native = values.get("native")
    app = native.get("app") if isinstance(native, dict) else None
    if isinstance(app, str):
        try:
            import_app(app)
        except ConfigError as error:
            yield from error.faults


def own_app_faults(values: Values) -> Iterator[Fault]:
    """The same, if the proxy is to run the app itself: one that runs elsewhere must not keep legacy's users waiting."""
    native = values.get("native")
    if isinstance(native, dict) and "url" not in native:
        yield from app_faults(values)


def serve(config: Config) -> None:
    """The proxy with both of its ports; a ConfigError names a port or an app that cannot be had."""
    doors = Doors.opened(config.listen, config.admin.listen)
    configure()

    async def run() -> None:
        strangler = Strangler(config)
        _on_signals(strangler.stopping.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, strangler.renew)
        await strangler.serve(doors.public, doors.private)

    run_whole(run())


def work(config: Config, post: Post) -> None:
    """One of several workers, at its post: told to stop, it leaves both ports to the others at once."""
    public, private, line, pulse = post.sockets()
    configure()
    structlog.contextvars.bind_contextvars(worker=post.worker)
    for place, bound, wanted in (
        ("listen", post.listen, str(config.listen)),
        ("admin.listen", post.admin, str(config.admin.listen)),
    ):
        if wanted != bound:
            log.warning("an address cannot change while serving: stop and start", place=place, now=bound, asked=wanted)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's, whomever else it was sent to

    async def run() -> None:
        strangler = Strangler(config, await Line.over(line), Pulse(pulse))
        _on_signals(strangler.leave)
        await strangler.serve(public, private, post.share)

    run_whole(run())


def run_whole(work: Coroutine[Any, Any, None]) -> None:
    """Run until the work is over. `sys.exit` in another task ends that task alone, as any exception would: an app in
    this process may call it in a task of its own, as everything beneath some middlewares is."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        working = loop.create_task(work)
        while not working.done():
            try:
                loop.run_until_complete(working)
            except SystemExit as end:
                log.error("a task called for the end of this process, which goes on", exc_info=end)
        working.result()


def handlers(config: Config, listen_at: Address | None) -> None:
    """The app that the configuration names, at native's address unless another is given."""
    native = config.native
    address = listen_at or _own_address(native)
    if native is None or native.app is None or address is None:
        raise ConfigError([Fault("native", "`strangler handlers` serves native.app at native.url: name both")])
    serve_native(native.app, listen(address, "native.url"), config.drain)


def serve_native(name: str, sock: socket.socket, drain: float = DRAIN) -> None:
    """The app of this import string, in this process."""
    app = import_app(name)
    configure()
    settle()
    gather()
    reasons: list[str] = []

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        async def listening(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                reasons.append(message.get("message", "").strip().rpartition("\n")[2])
            await send(message)

        await app(scope, receive, listening if scope["type"] == "lifespan" else send)

    async def run() -> None:
        server = Server(told, sock, lifespan="on", drain=drain)
        _on_signals(server.stop)
        await server.run_until_stopped()

    try:
        uvloop.run(run())
    except SystemExit:  # uvicorn's way of saying that the app did not start
        reason = reasons[0] if reasons else "it says no reason"
        raise ConfigError([Fault("native.app", f"{name} did not start: {reason}")]) from None


def _own_address(native: Native | None) -> Address | None:
    """Where `strangler handlers` listens if nobody says where: at native's address, if that can be served."""
    if native is None or native.url is None:
        return None
    if len(native.url) > 1:
        raise ConfigError([Fault("native.url", "names several addresses; say which one to serve with --listen")])
    (address,) = native.url
    if address.tls or address.path:
        raise ConfigError(
            [Fault("native.url", f"{address} is not plain HTTP at a port; say with --listen where to serve it")]
        )
    return address


def _on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
