"""What can become of a request once its head is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import Scope

from proxy.decider import Decider
from proxy.forwarding import Forwarding
from proxy.here import Here
from proxy.patience import PATIENCE, Patience
from proxy.relay import Relay

Upgrade = Callable[[Scope, asyncio.Transport, set[Any]], asyncio.Protocol]


@dataclass(frozen=True, slots=True)
class Ways:
    """What becomes of a request whose head is there, if it is not for the ASGI app."""

    forwarding: Forwarding
    decide: Decider
    relay: Relay
    upgrade: Upgrade
    here: Here
    patience: Patience = PATIENCE
