"""Shadow work as the configuration describes it: who carries experiments out, and what hears of them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping

from starlette.types import ASGIApp

from flags.flag import Side
from proxy.config import Config
from proxy.metrics import OTHERS, Metrics, States
from proxy.parities import Parities
from shadow import redact
from shadow.ask import Sign
from shadow.compare import Outcome
from shadow.experiment import Experiment, Experimenter, Listeners
from shadow.journal import Journal
from shadow.noise import Field
from shadow.observation import Observation
from shadow.pacer import Pacer
from shadow.room import Room
from shadow.runner import Runner

NAMED = 20  # fields of a route that are counted by name; what people send can be a field, too


class Noisy:
    """Counts what is taken for noise, by route and field."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._named = metrics, defaultdict[str, set[str]](set)

    def found(self, route: str, field: Field) -> None:
        named, name = self._named[route], redact.place(f"{field.place or '(whole)'}: {field.kind}")
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
    limits = config.shadow.limits
    # Legacy's alone: it may have users whom nothing else here tells of, and native says of itself when it is busy.
    users = {route.name: route.limits(config.legacy.limits) for route in config.routes}
    waited = {name: own.total or own.first_byte for name, own in users.items()}
    rooms = {Side.LEGACY.value: Room(limits.concurrency, waited)} if config.shadow.yields else {}

    def dropped(route: str, reason: str) -> None:
        metrics.undone.dropped(route, reason)
        if reason == "queue_full":
            pacer.asked(vain=True)

    def ended(experiment: Experiment, outcome: Outcome, role: str) -> None:
        metrics.compared.labels(experiment.route, experiment.candidate_side, outcome.value).inc()
        parities.ended(experiment, outcome, role)

    def asked(experiment: Experiment, side: str, answer: Observation) -> None:
        if answer.status:
            pacer.heard(answer.busy)
        pacer.asked(vain=not answer.complete)
        runner.heard(experiment, side, answer)

    experimenter = Experimenter(
        sides=candidates,
        rules={route.name: route.rules for route in config.routes},
        journal=journal,
        limits=limits,
        listeners=Listeners(
            ended=ended,
            lost=lambda route: dropped(route, "journal"),
            ignored=metrics.covered,
            noise=Noisy(metrics).found,
            asked=asked,
        ),
        now=time.time,
        sign=sign,
        spared=[(route.name, Side.LEGACY.value) for route in config.routes if not route.shadow_legacy],
        at_ease=lambda: pacer.factor >= 1.0,
    )
    runner = Runner(experimenter, limits, dropped, lambda: pacer.at_once, rooms)
    return runner


def shadow_states(runner: Runner, pacer: Pacer) -> States:
    """What is read of it at each scrape."""
    return {
        "shadow_queue": ("Experiments waiting", lambda: runner.pending),
        "shadow_factor": ("The part of the shadow share that is asked at this moment", lambda: pacer.factor),
        "shadow_room": ("Experiments that may ask legacy at once", lambda: runner.places(Side.LEGACY.value)),
        "shadow_strays": ("Shadow requests that ignore their cancellation", lambda: runner.strays),
    }
