"""What Unleash says of one route: a share, or rules that its own engine evaluates. No I/O.

What would be evaluated otherwise here than in Unleash's SDKs, or by chance, is no word: Unclear says why.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flags.flag import WHOLE, Flag, Source

Definition = Mapping[str, Any]  # a part of Unleash's JSON

STICKY = frozenset({"default", "userId", "sessionId"})  # all of them name whoever asks: the subject
KNOWN = STICKY - {"default"} | {"remoteAddress", "appName", "currentTime"}  # what rules may ask of a request

_PERCENT = re.compile(r"[0-9]{1,3}", re.ASCII)
_ROLLOUTS = {
    "flexibleRollout": "rollout",
    "gradualRolloutUserId": "percentage",
    "gradualRolloutSessionId": "percentage",
}
_LISTS = {"userWithId": "userIds", "remoteAddress": "IPs"}


class Unclear(ValueError):
    """A definition that cannot be honoured: the words say why."""


@dataclass(frozen=True, slots=True)
class Word:
    """`native` of the subjects, counted in `group` (None: the route's own); or, with `rules`, whomever they choose.

    `rules` are the definitions that the engine takes, as JSON. `project` is where the flag is switched off.
    """

    native: int = 0
    group: str | None = None
    rules: str | None = None
    project: str = "default"

    def source(self, revision: int) -> Source:
        """What a flag that obeys this word says of its origin."""
        digest = hashlib.sha256(self.rules.encode()).hexdigest()[:16] if self.rules is not None else None
        return Source(revision, self.group, digest)


def obeyed(flag: Flag, word: Word, revision: int) -> tuple[int, Source | None]:
    """The share that the flag should have after this word, and where from: its own, if it obeys or knows better."""
    before, source = flag.source or Source(0), word.source(revision)
    if flag.tripped or before.revision > revision:
        return flag.native, flag.source
    same_people = not word.native or (before.group, before.rules) == (source.group, source.rules)
    if flag.native == word.native and same_people:
        return flag.native, flag.source
    return word.native, source


def read_word(feature: Definition, segments: Mapping[int, Definition]) -> Word:
    """What the definition of a flag says."""
    project = feature.get("project", "default")
    if not isinstance(project, str) or not isinstance(feature.get("enabled"), bool):
        raise Unclear("its definition is malformed")
    if not feature["enabled"]:
        return Word(project=project)
    if feature.get("dependencies"):
        raise Unclear("it depends on another flag, which cannot be honoured here")
    strategies = _each(feature, "strategies")
    used = [segment for strategy in strategies for segment in _used(strategy, segments)]
    for strategy in strategies:
        _check_strategy(strategy)
    for part in (*strategies, *used):
        _check_constraints(part)
    if len(strategies) > 1 or used or any(_each(strategy, "constraints") for strategy in strategies):
        return Word(WHOLE, rules=_state(feature, used), project=project)
    if not strategies or strategies[0]["name"] == "default":
        return Word(WHOLE, project=project)
    if strategies[0]["name"] != "flexibleRollout":
        return Word(WHOLE, rules=_state(feature, used), project=project)
    parameters = strategies[0]["parameters"]
    return Word(int(parameters["rollout"]) * 100, parameters.get("groupId", feature["name"]), project=project)


def _check_strategy(strategy: Definition) -> None:
    name, parameters = strategy.get("name"), strategy.get("parameters", {})
    if not isinstance(name, str) or not isinstance(parameters, dict):
        raise Unclear("a strategy is malformed")
    if name == "gradualRolloutRandom":
        raise Unclear("its rollout is random: a user would change sides with each request")
    if name in _ROLLOUTS:
        _check_rollout(parameters, _ROLLOUTS[name])
    elif name in _LISTS:
        if not isinstance(parameters.get(_LISTS[name]), str):
            raise Unclear(f'the strategy {name} lists nobody ("{_LISTS[name]}" is no text)')
    elif name != "default":
        raise Unclear(f'the strategy "{name}" is not known here')
    if name == "flexibleRollout":
        _check_stickiness(parameters)


def _check_rollout(parameters: Definition, key: str) -> None:
    rollout = parameters.get(key)
    if not isinstance(rollout, str) or not _PERCENT.fullmatch(rollout) or int(rollout) > 100:
        raise Unclear(f"its rollout {rollout!r} is no whole percentage from 0 to 100, written as text")


def _check_stickiness(parameters: Definition) -> None:
    stickiness, group = parameters.get("stickiness", "default"), parameters.get("groupId", "")
    if stickiness == "random":
        raise Unclear("its stickiness is random: a user would change sides with each request")
    if stickiness not in STICKY:
        raise Unclear(f'its stickiness "{stickiness}" is not known here; known: {", ".join(sorted(STICKY))}')
    if not isinstance(group, str):
        raise Unclear(f"its group {group!r} is no text")
    if '"' in group or group.endswith("\\"):  # by which the engine ends a text
        raise Unclear(f"Unleash's SDKs do not take its group {group!r}, and choose nobody")


def _check_constraints(part: Definition) -> None:
    for constraint in _each(part, "constraints"):
        field = constraint.get("contextName")
        if field not in KNOWN:
            raise Unclear(f'it asks for "{field}", which is not known of a request; known: {", ".join(sorted(KNOWN))}')


def _used(strategy: Definition, segments: Mapping[int, Definition]) -> Iterator[Definition]:
    """The segments of a strategy."""
    listed = strategy.get("segments") or ()
    if not isinstance(listed, Iterable) or isinstance(listed, str):
        raise Unclear("its segments are malformed")
    for number in listed:
        if not isinstance(number, int) or number not in segments:
            raise Unclear(f"its segment {number!r} is not among those that Unleash tells")
        yield segments[number]


def _each(part: Definition, key: str) -> list[Definition]:
    """A list of objects; null and a missing one are empty."""
    listed = part.get(key) or []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise Unclear(f"its {key} are malformed")
    return listed


def _state(feature: Definition, segments: Iterable[Definition]) -> str:
    """All that the engine has to know of this flag, always in the same words."""
    strategies = [{key: value for key, value in s.items() if key != "variants"} for s in feature["strategies"]]
    told = {"name": feature["name"], "enabled": True, "strategies": strategies}
    unique = {segment["id"]: segment for segment in segments}
    return json.dumps({"version": 2, "features": [told], "segments": [*unique.values()]}, sort_keys=True)
