"""One route of two sides over the same data, which change while they are asked."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadow.observation import Observation
from shadow.rules import Rules

LEGACY, NATIVE = "legacy", "native"
BETWEEN = 0.05  # seconds between two questions of one experiment, in the mean
ANYWAY = Rules()
QUIET = 0.02  # writes before a question: every seventh experiment has one in its midst where it is confirmed
TWINS = 60  # wrong answers of which is kept what they should have been
Body = Any


@dataclass(slots=True)
class Answer:
    """What a side says, to be changed by whatever changes it."""

    status: int
    headers: dict[str, str]
    body: Body

    @property
    def observation(self) -> Observation:
        headers = tuple((name.encode(), value.encode()) for name, value in self.headers.items())
        body = json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()
        return Observation(self.status, headers, body, complete=True, elapsed=0.0)


@dataclass(frozen=True, slots=True)
class Case:
    """`noise`: what makes answers of either side differ from each other. `mutant`: what native does wrong, `often`: in
    this part of the requests or, `at_random`, of its answers. `writes`: how likely data change before a question.
    `own`: the noise of the field that `slip` is wrong in, which is done to what that noise has left. `rules`: what the
    route's users have written down; Diffy has no such thing."""

    name: str
    recorded: Mapping[str, Any]
    noise: Sequence[Callable[[Answer, World], None]]
    mutant: Callable[[Answer], None] | None
    often: float
    writes: float
    seed: int
    at_random: bool = False
    own: Callable[[Answer, World], None] | None = None
    slip: Callable[[Answer, World], None] | None = None
    rules: Rules = ANYWAY


class World:
    def __init__(self, case: Case) -> None:
        self.case, self.now, self.version, self.asked = case, 1_768_298_400.0, 0, 0
        self.chance = random.Random(case.seed)  # a corpus is the same every time
        self.memory: dict[str, Any] = {}  # what a kind of noise keeps from one question to the next
        self._data = copy.deepcopy(case.recorded["body"])
        self.before, self._wrongly = self._data, False
        self.twins: list[tuple[Observation, Observation]] = []  # answers as they should be, and as native gave them

    def answer(self, side: str) -> Observation:
        """What the side says now. Time goes on, and perhaps somebody has written."""
        self.asked += 1
        self.now += self.chance.expovariate(1 / BETWEEN)
        if self.chance.random() < self.case.writes:
            self._write()
        wrong = self.chance.random() < self.case.often if self.case.at_random else self._wrongly
        told = self.plain(wrong=wrong and side == NATIVE)
        if self.case.own is not None:
            self.case.own(told, self)
        if self.case.slip is not None and wrong and side == NATIVE:
            self._slip(self.case.slip, told)
        for noise in self.case.noise:
            noise(told, self)
        return told.observation

    def plain(self, *, wrong: bool) -> Answer:
        """An answer without noise; `wrong`: as native gives it."""
        recorded = self.case.recorded
        told = Answer(recorded["status"], dict(recorded["headers"]), copy.deepcopy(self._data))
        if wrong and self.case.mutant is not None:
            self.case.mutant(told)
        return told

    def rest(self) -> None:
        """Until the next user comes, with another request."""
        self.now += self.chance.expovariate(1 / 3)
        self._wrongly = self.chance.random() < self.case.often

    def _slip(self, slip: Callable[[Answer, World], None], told: Answer) -> None:
        right = told.observation
        slip(told, self)
        if len(self.twins) < TWINS:
            self.twins.append((right, told.observation))

    def _write(self) -> None:
        self.version += 1
        self.before, self._data = self._data, copy.deepcopy(self._data)
        data = self._data.get("data") if isinstance(self._data, dict) else None
        if isinstance(data, list) and data:
            if self.chance.random() < 0.4:  # a new one comes first, and the last one makes room
                data.insert(0, {**copy.deepcopy(data[0]), "id": 50_000 + self.version})
                del data[-1]
            else:
                self._touch(self.chance.choice(data))
        elif isinstance(data, dict):
            self._touch(data)

    def _touch(self, row: dict[str, Any]) -> None:
        moment = f"2026-01-13T10:{self.version // 60 % 60:02d}:{self.version % 60:02d}.500Z"
        for name in ("updatedAt", "lastActivityAt"):
            if name in row:
                row[name] = moment
        if "messageCount" in row:
            row["messageCount"] += 1
            row["lastMessage"] = {**row["lastMessage"], "id": 60_000 + self.version, "content": f"No. {self.version}"}
        elif "status" in row:
            row["status"] = self.chance.choice(["open", "pending", "resolved", "sent", "delivered"])
        elif "name" in row:
            row["name"] = f"Zoé {self.version}"
