"""All that Unleash says of our routes at one revision, and the last good words as they are kept on disk. No I/O."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from flags.flag import WHOLE
from flags.unleash.word import Definition, Unclear, Word, read_word


class Garbage(ValueError):
    """No definitions at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A route of which Unleash knows nothing has a word too: nobody. `refused` tells of the rest why not."""

    revision: int
    words: Mapping[str, Word]
    refused: Mapping[str, str] = field(default_factory=dict)


def read_answer(told: Any, routes: Collection[str]) -> Answer:
    """What `/api/client/features` said."""
    if not isinstance(told, dict) or not isinstance(told.get("features"), list):
        raise Garbage("it has no list of features")
    revision = _revision(told.get("meta"))
    ours = frozenset(routes)
    features = {feature["name"]: feature for feature in told["features"] if _is_ours(feature, ours)}
    segments = _segments(told.get("segments"))
    words, refused = dict[str, Word](), dict[str, str]()
    for route in routes:
        try:
            words[route] = read_word(features[route], segments) if route in features else Word()
        except Unclear as unclear:
            refused[route] = str(unclear)
    return Answer(revision, words, refused)


def encode_answer(answer: Answer) -> str:
    """The words as JSON; what was refused is not kept."""
    return json.dumps({"revision": answer.revision, "words": {r: asdict(w) for r, w in answer.words.items()}}, indent=1)


def decode_answer(text: str, routes: Collection[str]) -> Answer:
    """The words of these routes; a ValueError if this is nothing that was kept."""
    told = json.loads(text)
    if not isinstance(told, dict) or not isinstance(told.get("words"), dict):
        raise Garbage("it holds no words")
    words = {route: _kept(word) for route, word in told["words"].items() if route in routes}
    return Answer(_revision({"revisionId": told.get("revision")}), words)


def _kept(word: Any) -> Word:
    match word:
        case {
            "native": int(native),
            "group": str() | None as group,
            "rules": str() | None as rules,
            "project": str(project),
        }:
            if 0 <= native <= WHOLE and not isinstance(native, bool):
                return Word(native, group, rules, project)
    raise Garbage(f"{word!r} is no word")


def _revision(meta: Any) -> int:
    revision = meta.get("revisionId") if isinstance(meta, dict) else None
    if type(revision) is not int or revision < 0:
        raise Garbage("it names no revision (meta.revisionId), so what is older could not be told from what is newer")
    return revision


def _is_ours(feature: Any, routes: Collection[str]) -> bool:
    if not isinstance(feature, dict) or not isinstance(feature.get("name"), str):
        raise Garbage("a feature has no name")
    return feature["name"] in routes


def _segments(listed: Any) -> dict[int, Definition]:
    """Those that rules can name; who names another is refused."""
    each = listed if isinstance(listed, list) else []
    return {s["id"]: s for s in each if isinstance(s, dict) and type(s.get("id")) is int}
