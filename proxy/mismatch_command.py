"""`strangler mismatches …`: what it takes, what it asks of the operators' port, and what it says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from proxy import arguments, terminal
from proxy.arguments import BadUsage
from proxy.commands import orders_to
from proxy.orders import OrderFailed, Orders
from proxy.show import columns, moment
from proxy.units import long_duration
from shadow.mismatch import LONGEST, MUTED

Told = Mapping[str, Any]
USAGE = "usage: strangler mismatches [ROUTE | show ID | resolve ID | mute ID | export ID] [options]\n"
ACTS = {"resolve": "resolved", "mute": "muted"}
VERBS = frozenset({"show", "export", *ACTS})
# An option's verb; None: the list.
BELONGS = {"count": None, "all": None, "unconfirmed": None, "for_": "mute", "output": "export"}
UNTURNED = frozenset({"open", "unconfirmed"})
COUNT = 20
NONE = "No mismatch is open. Those that are muted, resolved or unconfirmed: strangler mismatches --all"
_HEAD = ("ID", "ROUTE", "FIELD", "KIND", "REQUESTS", "LAST", "STATE")


def add(parser: argparse.ArgumentParser) -> None:
    parser.usage = USAGE.removeprefix("usage: ").strip()
    parser.add_argument("words", nargs="*", metavar="ROUTE", help="only this route's; or what to do with the one of ID")
    parser.add_argument("--all", action="store_true", default=None, help="those of every state")
    about = "those that were seen, but could not be confirmed: what changes, and what fails now and then"
    parser.add_argument("--unconfirmed", action="store_true", default=None, help=about)
    parser.add_argument("--count", type=arguments.count, help=f"how many at most ({COUNT})")
    about = f"mute it for so long, at most {LONGEST}d ({MUTED}d)"
    parser.add_argument("--for", dest="for_", metavar="TIME", type=_time, help=about)
    parser.add_argument(
        "--why", type=arguments.text, default="", help="why it is resolved or muted, for those who look at it later"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="write the exported test here; a directory: under its own name"
    )


def run(options: argparse.Namespace, reach: Callable[[argparse.Namespace], Orders] = orders_to) -> int:
    verb, subject = _meant(options)
    if verb is None:
        return _list(options, reach(options), subject)
    path = f"/mismatches/{quote(subject or '', safe='')}"
    if verb == "export":
        return _export(options, reach(options).ask("GET", f"{path}/test"))
    if verb == "show":
        told = reach(options).ask("GET", path)
        terminal.say(told, shown(told), as_json=options.json)
        return 0
    order = {"state": ACTS[verb], "why": options.why} | ({"for": options.for_} if options.for_ else {})
    told = reach(options).ask("PATCH", path, order)
    terminal.say(told, f"{told['id']}: {_state(told)}", as_json=options.json)
    return 0


def _meant(options: argparse.Namespace) -> tuple[str | None, str | None]:
    """The verb, None for the list, and what it is about."""
    match options.words:
        case []:
            verb, subject = None, None
        case [route]:
            verb, subject = None, route
        case [verb, subject] if verb in VERBS:
            pass
        case _:
            raise BadUsage(f'"{" ".join(options.words)}" is no route, and nothing that can be done with an ID', USAGE)
    for option, its in BELONGS.items():
        if getattr(options, option) is not None and verb != its:
            word = option.rstrip("_")
            raise BadUsage(f"--{word} belongs to {f'mismatches {its} ID' if its else 'the list'}", USAGE)
    return verb, subject


def _list(options: argparse.Namespace, orders: Orders, route: str | None) -> int:
    if options.all and options.unconfirmed:
        raise BadUsage("--all and --unconfirmed are two lists", USAGE)
    state = "all" if options.all else "unconfirmed" if options.unconfirmed else "open"
    asked = {"count": str(options.count or COUNT), "state": state}
    told = orders.ask("GET", "/mismatches", None, None, **asked, **({"route": route} if route else {}))
    terminal.say(told, listed(told, state), as_json=options.json)
    return 0


def _export(options: argparse.Namespace, told: Told) -> int:
    if options.output is None:
        terminal.say(told, told["text"].rstrip("\n"), as_json=options.json)
        return 0
    path: Path = options.output / told["name"] if options.output.is_dir() else options.output
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(told["text"])
    except FileExistsError:
        raise OrderFailed(f"nothing was written: {path} is there already") from None
    except OSError as error:
        raise OrderFailed(f"nothing was written: {path} cannot be ({error.strerror})") from None
    words = f"{path}: its first lines say what it needs. See it fail before you mend anything, then pass"
    terminal.say({"file": str(path)}, words, as_json=options.json)
    return 0


def listed(told: Told, state: str = "open") -> str:
    if not told["mismatches"]:
        return "Nothing is unconfirmed." if state == "unconfirmed" else NONE
    return columns([_HEAD, *map(_row, told["mismatches"])])


def _row(told: Told) -> tuple[str, ...]:
    field = told["field"] or "(whole)"
    return told["id"], told["route"], field, told["kind"], str(told["count"]), moment(told["last"]), _state(told)


def _state(told: Told) -> str:
    act = told["act"]
    if act is None:
        return str(told["state"])
    by = f"by {act['who']}, {moment(act['at'])}: {act['why']}"
    if told["reopened"] is not None:
        return f"{told['state']} again since {moment(told['reopened'])}; resolved {by}"
    if told["state"] in UNTURNED:
        return f"{told['state']}; muted until {moment(act['until'])} {by}"
    return f"muted until {moment(act['until'])} {by}" if told["state"] == "muted" else f"resolved {by}"


def shown(told: Told) -> str:
    """One mismatch with its samples."""
    first, last = moment(told["first"]), moment(told["last"])
    return "\n".join(
        [
            f"{told['id']}  {told['route']}  {told['field'] or '(whole)'}: {told['kind']}",
            f"{_state(told)}; seen in {told['count']} requests, first {first}, last {last}",
            *_often(told["samples"][:1]),
            *(line for sample in told["samples"] for line in _sample(sample)),
        ]
    )


def _often(samples: Sequence[Told]) -> Iterator[str]:
    """How noisy the field is, as the newest sample knows."""
    for each in samples:
        if (often := each.get("often")) is not None:
            candidate = f"{each['candidate']['side']} in {often['candidate']} of {often['candidates']} answers"
            control = f"{each['control']['side']} in {often['control']} of {often['controls']}"
            proof = "proved" if often["proof"] >= 1 else f"{often['proof']:.2g} of what proves"
            yield f"differs there from what users are told: {candidate}, {control}; evidence: {proof}"


def _sample(told: Told) -> Iterator[str]:
    yield f"{moment(told['at'])}  {told['method']} {told['target']}, request {told['requestId']}"
    given: Any = told["headers"]
    pairs = given.items() if isinstance(given, Mapping) else given  # an earlier port's, or pairs
    if headers := [f"{name}: {value}" for name, value in pairs]:
        yield f"    with {', '.join(headers)}"
    if names := [*told["credentials"], *told.get("others", ())]:
        yield f"    with {', '.join(names)}, of which no more is kept"
    for side in (told["control"], told["candidate"]):
        yield f"    {side['side']} {side['status']}, {told['path'] or '(whole)'}: {_excerpt(side)}"


def _excerpt(told: Told) -> str:
    if told["shown"] is not None:
        return str(told["shown"])
    length = "" if told["length"] is None else f" of {told['length']}"
    return f"{told['type']}{length}" + (f", #{told['digest']}" if told["digest"] else "")


def _time(text: str) -> str:
    try:
        long_duration(text, LONGEST)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
