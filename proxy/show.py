"""The admin port's answers as lines for a terminal. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flags.flag import percent


def status(told: Mapping[str, Any]) -> str:
    head = ("ROUTE", "NATIVE", "SHADOW", "STATE")
    lines = [columns([head, *(_route(route) for route in told["routes"])])]
    if not told["storeConnected"]:
        lines.append(
            "The flags' store does not answer: the last flags hold (a worker that has heard none sends everything to "
            "legacy), and changes other than a rollback are refused."
        )
    if not told["nativeReady"]:
        lines.append(
            "Native takes no requests: legacy answers every route, whatever the shares, and nothing is shadowed. "
            "Look at the native process, or at this proxy's log if it is embedded."
        )
    if told.get("unleash"):
        lines += _unleash(told["unleash"])
    return "\n".join(lines)


def _unleash(told: Mapping[str, Any]) -> list[str]:
    lines = [f"{route}: its share is not what Unleash says: {why}." for route, why in sorted(told["refused"].items())]
    if not told["connected"]:
        lines.append(f"Unleash gives no answer that can be used ({told['problem']}): the last shares hold.")
    return lines


def _route(route: Mapping[str, Any]) -> tuple[str, str, str, str]:
    if route["trip"]:
        only = " (on this worker only: the store has not heard)" if route["onThisWorkerOnly"] else ""
        state = f"tripped{only} at {_time(route['trip']['at'])}: {route['trip']['reason']}"
    elif route["verdict"]:
        state = f"{route['verdict']['kind']}: {route['verdict']['words']}"
    else:
        state = "legacy answers" if not route["share"] else "not judged yet"
    native = "by rules" if route.get("byRules") else percent(route["share"])
    return route["route"], native, percent(route["shadow"]), state


def mismatches(told: Mapping[str, Any]) -> str:
    return "\n".join(_mismatch(entry) for entry in told["mismatches"]) or "No mismatch has been journalled."


def _mismatch(entry: Mapping[str, Any]) -> str:
    head = f"{entry['id']}  {_time(entry['at'])}  {entry['route']}"
    question = f"    {entry['method']} {entry['target']}, request {entry['request_id']}"
    sides = (
        f"    {entry['control_side']} {entry['control_status']}, {entry['candidate_side']} {entry['candidate_status']}"
    )
    found = [
        f"    {d['path'] or '(whole)'}: {d['kind']}: {entry['control_side']} {d['control']}, "
        f"{entry['candidate_side']} {d['candidate']}"
        for d in entry["differences"]
    ]
    more = entry["count"] - len(found)
    return "\n".join([head, question, sides, *found, *([f"    … and {more} more"] if more > 0 else [])])


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows as left-aligned columns; the last one may be as long as it likes."""
    table = list(rows)
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in table
    )
