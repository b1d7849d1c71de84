"""`strangler …`: one command for those who run the proxy and those who move the shares."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from proxy import commands
from proxy.address import Address
from proxy.faults import ConfigError
from proxy.orders import OrderFailed
from proxy.units import share as parse_share

Told = Mapping[str, Any]
Run = Callable[[argparse.Namespace], int]
T = TypeVar("T")
MOST_WORKERS = 64
EXIT_CODES = "Exit codes: 0 done, 1 refused or failed, 2 bad usage or configuration."


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    sys.path.insert(0, str(Path.cwd()))  # `native.app` is found as `python -m` would find it
    try:
        code: int = options.run(options)
    except ConfigError as error:
        return _faults(error, options)
    except OrderFailed as error:
        return _failed(str(error), options)
    except KeyboardInterrupt:
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("strangler", description=__doc__, epilog=EXIT_CODES)
    every = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=Path("config.yaml"), help="the configuration (config.yaml)")
    common.add_argument("--json", action="store_true", help="print JSON, for programs")

    port = argparse.ArgumentParser(add_help=False)
    port.add_argument(
        "--admin",
        metavar="HOST:PORT",
        type=_address,
        help="the operators' port, instead of the configuration's: no file is read, the token is STRANGLER_TOKEN",
    )

    def command(name: str, run: Run, about: str, *more: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = every.add_parser(name, parents=[common, *more], help=about, description=about, epilog=EXIT_CODES)
        added.set_defaults(run=run, is_order=bool(more))
        return added

    def order(name: str, run: Run, about: str) -> argparse.ArgumentParser:
        return command(name, run, about, port)

    serve = command("serve", commands.serve, "Run the proxy until SIGTERM or Ctrl-C.")
    serve.add_argument(
        "--workers",
        metavar="N",
        type=_workers,
        default=1,
        help="processes that share both ports (1); more than one need redis in the configuration, and are replaced one "
        "by one on SIGHUP",
    )
    command("check", commands.check, "Check the configuration and list every fault in it; changes nothing.")
    handlers = command("handlers", commands.handlers, "Run the native side as a process of its own, at native.url.")
    handlers.add_argument("--listen", metavar="HOST:PORT", type=_address, help="instead of native.url's")
    command("routes", commands.routes, "List the configured routes.")
    order("status", commands.status, "Show each route's shares, trip and verdict.")
    share = order("set", commands.move, "Give native a share of a route's users. Legacy answers the rest.")
    shadow = order("shadow", commands.move, "Ask the other side too, for a share of a route's requests, and compare.")
    for moved, key in ((share, "share"), (shadow, "shadow")):
        moved.add_argument("route", metavar="ROUTE")
        moved.add_argument("share", metavar="PERCENT", type=_percent, help="such as 5%% or 0.05%%")
        moved.set_defaults(key=key)
    rollback = order("rollback", commands.rollback, "Send a route, or all of them, back to legacy until a reset.")
    _add_what_to_roll_back(rollback)
    reset = order("reset", commands.reset, "Lift a trip. The share stays 0 until you raise it.")
    reset.add_argument("route", metavar="ROUTE")
    order("seed", commands.seed, "Write the configured shares of routes that the store has no flag for yet.")
    mismatches = order("mismatches", commands.mismatches, "Show the latest differences between the sides.")
    mismatches.add_argument("route", nargs="?", metavar="ROUTE", help="only this route's")
    mismatches.add_argument("--count", type=_count, default=20, help="how many at most (20)")
    return parser


def _add_what_to_roll_back(rollback: argparse.ArgumentParser) -> None:
    which = rollback.add_mutually_exclusive_group(required=True)
    which.add_argument("route", nargs="?", metavar="ROUTE")
    which.add_argument("--all", action="store_true", help="every route")
    rollback.add_argument(
        "--local",
        action="store_true",
        help="on this machine alone, through its disk and a signal: whatever else is down or hangs. It holds over "
        "restarts, until a reset",
    )
    rollback.add_argument(
        "--state",
        metavar="DIRECTORY",
        type=Path,
        help="--local with this directory instead of admin.state: no file is read",
    )
    rollback.add_argument("--why", default="", help="the reason, for those who look at it later")


def _percent(text: str) -> str:
    _parsed(parse_share, text)
    return text


def _address(text: str) -> Address:
    return _parsed(Address.parse, text)


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number above 0')
    return int(text)


def _workers(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_WORKERS):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number from 1 to {MOST_WORKERS}')
    return int(text)


def _failed(words: str, options: argparse.Namespace) -> int:
    print(json.dumps({"error": words}) if options.json else f"strangler: {words}", file=sys.stderr)
    return 1


def _faults(error: ConfigError, options: argparse.Namespace) -> int:
    if options.json:
        print(json.dumps({"faults": [{"place": fault.place, "message": fault.message} for fault in error.faults]}))
    else:
        number = len(error.faults)
        print(
            f"strangler: {options.config} has {number} fault{'s' * (number > 1)}; nothing was started or changed:",
            file=sys.stderr,
        )
        print("\n".join(f"  {fault}" for fault in error.faults), file=sys.stderr)
        if options.is_order:
            print(
                "An order needs no file if you name the operators' port: --admin HOST:PORT, with the token in "
                "STRANGLER_TOKEN.",
                file=sys.stderr,
            )
    return 2


if __name__ == "__main__":
    sys.exit(main())
