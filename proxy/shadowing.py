"""Shadow work as the configuration describes it: who carries experiments out, and what hears of them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping

from starlette.types import ASGIApp

from flags.flag import Side
from proxy.config import Config
from proxy.metrics import OTHERS, Metrics
from proxy.parities import Parities
from shadow import redact
from shadow.ask import Sign
from shadow.experiment import Experimenter
from shadow.journal import Journal
from shadow.noise import Field
from shadow.pacer import Pacer
from shadow.runner import Runner

NAMED = 20  # fields of a route that are counted by name; what people send can be a field, too


class Noisy:
    """Counts what is taken for noise, by route and field."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._named = metrics, defaultdict[str, set[str]](set)

    def found(self, route: str, field: Field) -> None:
        named, name = self._named[route], redact.line(f"{field.place or '(whole)'}: {field.kind}")
        if len(named) < NAMED:
            named.add(name)
        self._metrics.noise.labels(route, name if name in named else OTHERS).inc()


def runner_of(
    config: Config,
    candidates: Mapping[str, ASGIApp],
    journal: Journal,
    metrics: Metrics,
    sign: Sign,
    pacer: Pacer,
    parities: Parities,
) -> Runner:
    def dropped(route: str, reason: str) -> None:
        metrics.drops.labels(route, reason).inc()

    limits = config.shadow.limits
    experimenter = Experimenter(
        sides=candidates,
        rules={route.name: route.rules for route in config.routes},
        journal=journal,
        limits=limits,
        on_result=lambda route, side, outcome: metrics.compared.labels(route, side, outcome).inc(),
        on_drop=dropped,
        now=time.time,
        sign=sign,
        on_ignored=metrics.covered,
        spared=[(route.name, Side.LEGACY.value) for route in config.routes if not route.shadow_legacy],
        on_answer=pacer.heard,
        on_ended=parities.ended,
        on_noise=Noisy(metrics).found,
        at_ease=lambda: pacer.factor >= 1.0,
    )
    return Runner(experimenter, limits, dropped, lambda: pacer.factor)
