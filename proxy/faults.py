"""What is wrong with a configuration, in words for the person who wrote it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic_core import ErrorDetails

_WORDS = {
    "missing": "is required",
    "extra_forbidden": "unknown key",
    "int_type": 'must be a whole number, such as 50, not "{input}"',
    "bool_type": 'must be true or false, not "{input}"',
    "string_type": 'must be text, not "{input}"',
    "path_type": "must be the path of a file",
    "tuple_type": "must be a list",
    "model_type": "must be a group of keys, not a single value",
    "greater_than_equal": "must be at least {ge}",
    "value_error": "{error}",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where: `routes[3].match`, or a place in the file."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used, with all of its faults."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def place(path: Iterable[str | int]) -> str:
    """The path of a value as people write it."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def worded(error: ErrorDetails) -> Fault:
    """What a model found, in our words."""
    words = _WORDS.get(error["type"], error["msg"])
    return Fault(place(error["loc"]), words.format(input=error["input"], **error.get("ctx", {})))


def unknown_key(where: str, key: object, known: Sequence[str]) -> Fault:
    close = difflib.get_close_matches(str(key), known, n=1)
    advice = f'did you mean "{close[0]}"?' if close else f"known here: {', '.join(known)}"
    return Fault(where, f"unknown key; {advice}")
