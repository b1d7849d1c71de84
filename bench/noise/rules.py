"""Who reports what: the product's own experiments, and Diffy's rule."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from bench.noise.world import ANYWAY, LEGACY, NATIVE, Case, World
from shadow.compare import Rules, compare
from shadow.experiment import Experiment, Experimenter, Limits, Listeners
from shadow.journal import MemoryJournal
from shadow.mismatch import Finding
from shadow.noise import Field, Fields, field_of, fields_of
from shadow.observation import Observation

RELATIVE, ABSOLUTE = 20.0, 0.03  # percent; Diffy's own


@dataclass(frozen=True, slots=True)
class Reported:
    """`fields`: those that people are told of, each with how many experiments had been made. `asked`: questions for
    each request of a user. `wrong`: the fields that really differ. `unconfirmed`: those that are listed as such."""

    fields: dict[Field, int]
    asked: float
    wrong: Fields
    unconfirmed: Fields = frozenset()


class _Told(MemoryJournal):
    """Remembers nothing but the fields, and since when they are confirmed."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[Field, int] = {}
        self.unconfirmed: set[Field] = set()
        self.experiments = 0

    async def record(self, finding: Finding) -> None:
        for field in map(field_of, finding.differences):
            if finding.confirmed:
                self.fields.setdefault(field, self.experiments)
            else:
                self.unconfirmed.add(field)


async def ours(case: Case, experiments: int) -> Reported:
    """As the proxy does it, with its defaults."""
    world, told = World(case), _Told()
    truth = _Truth(world)

    def side(name: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen = world.answer(name)
            await send({"type": "http.response.start", "status": seen.status, "headers": list(seen.headers)})
            await send({"type": "http.response.body", "body": seen.body})

        return app

    experimenter = Experimenter(
        sides={LEGACY: side(LEGACY), NATIVE: side(NATIVE)},
        rules={case.name: case.rules},
        journal=told,
        limits=Limits(),
        listeners=Listeners(),
        now=lambda: world.now,
        draw=world.chance.random,
    )
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    for number in range(1, experiments + 1):
        world.rest()
        told.experiments = number
        control = world.answer(LEGACY)
        await experimenter.run(Experiment(case.name, LEGACY, NATIVE, scope, b"", control, "r"))
        truth.hear(world)
    await experimenter.close()
    asked = (world.asked - experiments) / experiments
    return Reported(told.fields, asked, truth.by(case.rules), frozenset(told.unconfirmed))


async def diffy(case: Case, experiments: int) -> Reported:
    """Each request is asked of the primary, the candidate and the secondary, one after the other. A field is reported
    if the primary differs from the candidate more often than from the secondary: by so much of both together, and in so
    many of the requests."""
    world = World(case)
    truth = _Truth(world)
    raw, noise = Counter[Field](), Counter[Field]()
    for _ in range(experiments):
        world.rest()
        primary, candidate, secondary = (world.answer(side) for side in (LEGACY, NATIVE, LEGACY))
        raw.update(_differing(primary, candidate))
        noise.update(_differing(primary, secondary))
        truth.hear(world)
    found = [field for field in raw if _reported(raw[field], noise[field], experiments)]
    return Reported(dict.fromkeys(found, experiments), 2.0, truth.by(ANYWAY))


def _reported(raw: int, noise: int, total: int) -> bool:
    relative, absolute = 100 * abs(raw - noise) / (raw + noise), 100 * abs(raw - noise) / total
    return raw > noise and relative > RELATIVE and absolute > ABSOLUTE


def _differing(control: Observation, candidate: Observation, rules: Rules = ANYWAY) -> Fields:
    return fields_of(compare(control, candidate, rules))


class _Truth:
    """In which fields native is wrong about some state of the data."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._fields: Fields = frozenset()
        self._version = -1
        self.hear(world)

    def hear(self, world: World) -> None:
        if world.version != self._version and world.case.mutant is not None:
            self._version = world.version
            right, wrong = world.plain(wrong=False).observation, world.plain(wrong=True).observation
            self._fields |= _differing(right, wrong)

    def by(self, rules: Rules) -> Fields:
        """As whoever compares by these rules sees it."""
        return self._fields.union(*(_differing(right, wrong, rules) for right, wrong in self._world.twins))
