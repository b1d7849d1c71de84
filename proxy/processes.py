"""What `strangler` runs until it is told to stop: the proxy, or the native side on its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator

import uvloop
from starlette.types import Message, Receive, Scope, Send

from proxy.address import Address
from proxy.app import Strangler
from proxy.config import Config
from proxy.contradictions import Values
from proxy.faults import ConfigError, Fault
from proxy.logs import configure
from proxy.native import import_app
from proxy.server import Server, listen


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
    public = listen(config.listen, "listen")
    private = listen(config.admin.listen, "admin.listen")
    configure()

    async def run() -> None:
        strangler = Strangler(config)
        _on_signals(strangler.stopping.set)
        await strangler.serve(public, private)

    uvloop.run(run())


def handlers(config: Config, listen_at: Address | None) -> None:
    """The app that the configuration names, at native's address unless another is given."""
    native = config.native
    address = listen_at or (native.url if native is not None else None)
    if native is None or native.app is None or address is None:
        raise ConfigError([Fault("native", "`strangler handlers` serves native.app at native.url: name both")])
    sock, app = listen(address, "native.url"), import_app(native.app)
    configure()
    reasons: list[str] = []

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        async def listening(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                reasons.append(message.get("message", "").strip().rpartition("\n")[2])
            await send(message)

        await app(scope, receive, listening if scope["type"] == "lifespan" else send)

    async def run() -> None:
        server = Server(told, sock, lifespan="on")
        _on_signals(server.stop)
        await server.run_until_stopped()

    try:
        uvloop.run(run())
    except SystemExit:  # uvicorn's way of saying that the app did not start
        reason = reasons[0] if reasons else "it says no reason"
        raise ConfigError([Fault("native.app", f"{native.app} did not start: {reason}")]) from None


def _on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
