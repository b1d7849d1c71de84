"""The admin port's answers as lines for a terminal. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flags.evidence.forecast import HORIZON
from flags.flag import WHOLE, percent
from flags.outlook import days
from flags.ramp import span
from proxy.forcing import NAME

_HEAD = ("ROUTE", "NATIVE", "SHADOW", "STATE")


def status(told: Mapping[str, Any]) -> str:
    lines = [columns([_HEAD, *(_route(route) for route in told["routes"])])]
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
    for share, routes in _held_back(told["routes"]).items():
        lines.append(f"{share}: {', '.join(routes)}.")
    lines += [f"{each['route']}: {each['parity']['words']}." for each in told["routes"] if each.get("parity")]
    lines += [ramp(route) for route in told["routes"] if route.get("ramp")]
    if told["capacity"]["unproved"]:
        lines.append(f"{_capital(told['capacity']['words'])}. See the runbook before everything has to go back.")
    if told["shadowing"]["words"]:
        lines.append(f"{_capital(told['shadowing']['words'])}.")
    if told.get("unleash"):
        lines += _unleash(told["unleash"])
    lines += [f"Subjects by {each['source']} {each['kind']}: {each['words']}." for each in told.get("subjects", ())]
    return "\n".join(lines)


def force(told: Mapping[str, Any]) -> str:
    where = ", ".join(told["routes"]) or "every route"
    return (
        f"For {told['who']}, until {moment(told['until'])}: {told['side']} answers {where}, whatever the share. A "
        "route that is tripped, or a native that is not ready, has legacy all the same. Send one of these:\n"
        f"{NAME}: {told['token']}\n"
        f"Cookie: {NAME}={told['token']}\n"
        "Keep it like a password: whoever has it is answered so until then."
    )


def _unleash(told: Mapping[str, Any]) -> list[str]:
    lines = [f"{route}: its share is not what Unleash says: {why}." for route, why in sorted(told["refused"].items())]
    if not told["connected"]:
        lines.append(f"Unleash gives no answer that can be used ({told['problem']}): the last shares hold.")
    return lines


def _route(route: Mapping[str, Any]) -> tuple[str, str, str, str]:
    if route["trip"]:
        only = " (on this worker only: the store has not heard)" if route["onThisWorkerOnly"] else ""
        state = f"tripped{only} at {moment(route['trip']['at'])}: {route['trip']['reason']}"
    elif route["verdict"]:
        state = f"{route['verdict']['kind']}: {route['verdict']['words']}"
    else:
        state = "legacy answers" if not route["share"] else "not judged yet"
    native = "by rules" if route.get("byRules") else percent(route["inForce"])
    return route["route"], native, percent(route["shadow"]), state


def audit(told: Mapping[str, Any]) -> str:
    return "\n".join(record(each) for each in told["audit"]) or "No change has been recorded."


def webhooks(told: Mapping[str, Any]) -> str:
    return "\n".join(map(_webhook, told["webhooks"])) or "No webhooks are configured."


def _webhook(told: Mapping[str, Any]) -> str:
    head = f"{told['url']}: told of {told['delivered']} trips and resets, given up on {told['undelivered']}"
    return "\n".join([head, *(f"    {record(each)} ({each['problem']})" for each in told["latest"])])


def record(told: Mapping[str, Any]) -> str:
    why = f": {told['why']}" if told["why"] else ""
    return f"{moment(told['at'])}  {told['route']}  {told['words']}, by {told['who'] or 'nobody who is known'}{why}"


def ramp(told: Mapping[str, Any]) -> str:
    if told["ramp"] is None:
        return f"{told['route']}: it never had a ramp."
    return f"{told['route']}: its ramp is {told['ramp']['words']}."


def prospects(told: Mapping[str, Any]) -> str:
    """How soon a defect would be noticed at each share, and whether legacy can take everybody back."""
    words = _capital(told["capacity"]["words"])
    lines = []
    if told["prospects"]:
        lines.append(f"At {told['rate']:.3g} requests/s, each of another user, native failing so many more is noticed:")
        defects = [percent(round(each["defect"] * WHOLE)) for each in told["prospects"][0]["noticed"]]
        head = ("NATIVE", *(f"{defect} MORE" for defect in defects))
        rows = [(percent(each["inForce"]), *map(_noticed, each["noticed"])) for each in told["prospects"]]
        lines.append(columns([head, *rows]))
    else:
        lines.append("Too little is known of this route's traffic to say how soon a defect would be noticed.")
    return "\n".join([*lines, f"{words}."])


def outlook(told: Mapping[str, Any]) -> str:
    """One route, and what may be expected of its judge."""
    parity = f"{_capital(told['parity']['words'])}.\n" if told.get("parity") else ""
    return f"{columns([_HEAD, _route(told)])}\n{parity}{expected(told)}"


def expected(told: Mapping[str, Any]) -> str:
    known = told["outlook"]
    words = known["words"] if known else ["there is no native traffic that could be judged, or none is known yet"]
    return "\n".join(f"{_capital(each)}." for each in words)


def false_alarms(routes: Sequence[str], chances: Mapping[int, float]) -> str:
    """What a judge by thresholds costs, for those who have chosen it."""
    often = ", ".join(f"{rate}: {days(chance)}" for rate, chance in chances.items())
    return (
        f"judged by thresholds, which have no bound on false alarms: {', '.join(routes)}. If nothing is wrong, and "
        f"0.5 % of requests fail on either side, such a route goes back, at a share of 25 % and so many requests a "
        f"second: {often}."
    )


def _noticed(told: Mapping[str, Any]) -> str:
    if told["seconds"] is None:
        return f"not within {span(HORIZON)}"
    return f"after {span(told['seconds'])}, {told['failed']} failed"


def _held_back(routes: Iterable[Mapping[str, Any]]) -> Mapping[str, list[str]]:
    """The routes that have less than was asked for, by what is asked and in force of them."""
    found: dict[str, list[str]] = {}
    for route in routes:
        asked, real = route["share"], route["inForce"]
        if real < asked and not route.get("byRules"):
            held = f"{percent(WHOLE - real)} is held back as control"
            found.setdefault(f"{percent(asked)} asked, {percent(real)} in force: {held}", []).append(route["route"])
    return found


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows as left-aligned columns; the last one may be as long as it likes."""
    table = list(rows)
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in table
    )
