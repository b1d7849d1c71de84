"""What the command says: results on standard output, faults on standard error, in words.

With --json standard output holds JSON alone, the faults too: `{"error": …}`, or `{"faults": […]}` of a configuration.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.faults import ConfigError

Told = Mapping[str, Any]


def say(told: Told, text: str, *, as_json: bool) -> None:
    print(json.dumps(told, indent=2) if as_json else text)


def line(told: Told, text: str, *, as_json: bool) -> None:
    """One of many, each on a line of its own, at once."""
    print(json.dumps(told) if as_json else text, flush=True)


def drawn(told: Told, text: str, *, as_json: bool) -> None:
    """In place of what was drawn before, on a terminal; elsewhere below it."""
    above = "" if as_json or not sys.stdout.isatty() else "\x1b[H\x1b[2J"
    line(told, above + text, as_json=as_json)


def progress(text: str) -> None:
    """In place of what was there, on the terminal that standard error is."""
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def failed(words: str, *, as_json: bool, told: Told | None = None) -> None:
    print(f"strangler: {words}", file=sys.stderr)
    if as_json:
        say({**(told or {}), "error": words}, "", as_json=True)


def misused(words: str, usage: str, *, as_json: bool) -> None:
    print(usage, end="", file=sys.stderr)
    failed(words, as_json=as_json)


def faulty(error: ConfigError, config: Path, *, is_order: bool, as_json: bool) -> None:
    number = len(error.faults)
    lines = [
        f"strangler: {config} has {number} fault{'s' * (number > 1)}; nothing was started or changed:",
        *(f"  {fault}" for fault in error.faults),
    ]
    if is_order:
        lines.append(
            "An order needs no file if you name the operators' port: --admin HOST:PORT, with the token in "
            "STRANGLER_TOKEN."
        )
    print("\n".join(lines), file=sys.stderr)
    if as_json:
        faults = [{"place": fault.place, "message": fault.message} for fault in error.faults]
        say({"faults": faults}, "", as_json=True)
