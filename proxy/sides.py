"""Both sides as the configuration describes them: where they are, the pools that lead there, and their limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp

from flags.flag import Side
from proxy.attempt import Bounds
from proxy.config import Config
from proxy.dial import Dial
from proxy.fallback import Places, most
from proxy.limits import Limits
from proxy.native import Absent, Embedded, Native, Remote, import_app
from proxy.pool import Pool
from proxy.tasks import Tasks
from proxy.upstream import Upstream

LEGACY, NATIVE = Side.LEGACY.value, Side.NATIVE.value
PIECES = 4_096  # that an answer may come in where it is only compared; a larger one in more,
SMALL = 64  # but none smaller than this, in bytes, all in all


@dataclass(frozen=True, slots=True)
class Sides:
    """`candidates` are the sides as the shadow asks them: through pools of their own, so that no user waits behind a
    comparison. `dials` lead to those that are not in this process."""

    legacy: Upstream
    native: Native
    candidates: Mapping[str, ASGIApp]
    pools: Mapping[str, Pool]
    dials: Mapping[str, Dial]

    @classmethod
    def of(cls, config: Config, tasks: Tasks) -> Sides:
        dials, number = _dials(config), config.shadow.concurrency
        legacy = _legacy(config, dials[LEGACY], tasks)
        most = max(PIECES, config.shadow.body // SMALL)
        asked_twice = Limits(first_byte=config.shadow.deadline, connections=number, queue=number, pieces=most)
        shadows = {side: Upstream(Pool(dial, asked_twice), tasks) for side, dial in dials.items()}
        pools = {LEGACY: legacy.pool, **{f"{side}_shadow": shadow.pool for side, shadow in shadows.items()}}
        candidates: dict[str, ASGIApp] = dict(shadows)
        native: Native = Absent()
        if NATIVE in dials:
            remote = _remote(config, dials[NATIVE], tasks)
            pools[NATIVE], native = remote.pool, Remote(remote, tasks)
        elif config.native is not None and config.native.app is not None:
            native = embedded = Embedded(import_app(config.native.app), tasks)
            candidates[NATIVE] = embedded.asked
        return cls(legacy, native, candidates, pools, dials)


def fallbacks(config: Config, legacy: Pool) -> tuple[Places, Bounds]:
    """How often legacy may be asked in native's place, and what of."""
    native, compare = config.native, config.shadow.body
    if native is None:
        return Places(0, lambda: 0), Bounds(budget=0.0, keep=0, compare=compare)
    places = Places(
        most(legacy.limits.connections, native.fallbacks),
        free=lambda: legacy.limits.connections - legacy.opened + legacy.idle,
    )
    return places, Bounds(budget=native.budget, keep=native.keep, compare=compare)


def _dials(config: Config) -> Mapping[str, Dial]:
    described = {LEGACY: config.legacy, NATIVE: config.native}
    return {
        name: Dial(name, side.url, connect=side.connect, ca=side.ca)
        for name, side in described.items()
        if side is not None and side.url is not None
    }


def _legacy(config: Config, dial: Dial, tasks: Tasks) -> Upstream:
    limits = config.legacy.limits
    own = {route.name: route.limits(limits) for route in config.routes}
    return Upstream(Pool(dial, limits), tasks, _others(own, limits))


def _remote(config: Config, dial: Dial, tasks: Tasks) -> Upstream:
    assert config.native is not None, "its address is known"
    limits = config.native.limits
    own = {route.name: route.native_limits(limits) for route in config.routes}
    return Upstream(Pool(dial, limits), tasks, _others(own, limits))


def _others(own: Mapping[str, Limits], usual: Limits) -> Mapping[str, Limits]:
    """Those that are not the usual ones: what is looked up for each request had better be few."""
    return {route: limits for route, limits in own.items() if limits != usual}
