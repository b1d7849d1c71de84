"""`strangler parity …`: what it takes, what it asks of the operators' port, and what it says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from proxy import arguments, terminal
from proxy.commands import orders_to
from proxy.orders import Orders
from proxy.show import columns, moment
from shadow.parity import number, rate

Told = Mapping[str, Any]
_HEAD = ("ANSWER", "COMPARED", "MISMATCHED", "UNCONFIRMED", "MISMATCHES AT MOST")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("route", type=arguments.text, metavar="ROUTE")
    about = "count anew from the next comparison on: after a release of native, or of legacy"
    parser.add_argument("--reset", action="store_true", help=about)
    parser.add_argument("--why", type=arguments.text, default="", help="the reason, for those who look at it later")


def run(options: argparse.Namespace, reach: Callable[[argparse.Namespace], Orders] = orders_to) -> int:
    path = f"/flags/{quote(options.route, safe='')}/parity"
    if options.reset:
        told = reach(options).ask("POST", path, {"why": options.why})
        text = f"{options.route}: comparisons are counted anew from now on."
    else:
        told = reach(options).ask("GET", path)
        text = shown(told)
    terminal.say(told, text, as_json=options.json)
    return 0


def shown(told: Told) -> str:
    parity = told["parity"]
    if not parity["strata"]:
        return f"{told['route']}: {parity['words']}."
    rows = [
        (each["words"], *(number(each[key]) for key in ("compared", "mismatched", "unconfirmed")), rate(each["bound"]))
        for each in parity["strata"]
    ]
    line = f"{told['route']}: {parity['words']}. Since {moment(parity['since'])}."
    return f"{line}\n{columns([_HEAD, *rows])}"
