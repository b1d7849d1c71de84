"""Unleash as this proxy's source of shares, if the configuration names one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flags.loop import Loop
from proxy.metrics import States
from proxy.sections import Config

if TYPE_CHECKING:
    from flags.unleash.follow import Unleash


def unleash_of(config: Config, loop: Loop) -> Unleash | None:
    """None: shares are set by operators."""
    section = config.unleash
    if section.url is None or section.token is None:
        return None
    from flags.unleash.backup import Backup  # with the engine of the SDKs, for which no other proxy has to wait
    from flags.unleash.follow import Unleash
    from flags.unleash.server import Server

    server = Server(section.url, section.token, section.admin_token)
    return Unleash(server, loop, [route.name for route in config.routes], Backup(section.backup))


def states_of(unleash: Unleash | None) -> States:
    """What metrics say of it."""
    if unleash is None:
        return {}
    return {
        "unleash_connected": ("1 while Unleash gives answers that can be used", lambda: unleash.connected),
        "unleash_refused": ("Routes of which Unleash says what is not so here", lambda: len(unleash.refused)),
    }


def told_of(unleash: Unleash | None) -> dict[str, Any] | None:
    """What operators are told of it."""
    if unleash is None:
        return None
    return {"connected": unleash.connected, "problem": unleash.problem, "refused": dict(unleash.refused)}
