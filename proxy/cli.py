"""`strangler …`: one command for those who run the proxy and those who move the shares."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from proxy import show
from proxy.address import Address
from proxy.config import load, load_admin
from proxy.contradictions import Values
from proxy.faults import ConfigError, Fault
from proxy.orders import OrderFailed, Orders
from proxy.post import Post
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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
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
        added = commands.add_parser(name, parents=[common, *more], help=about, description=about, epilog=EXIT_CODES)
        added.set_defaults(run=run, is_order=bool(more))
        return added

    def order(name: str, run: Run, about: str) -> argparse.ArgumentParser:
        return command(name, run, about, port)

    serve = command("serve", _serve, "Run the proxy until SIGTERM or Ctrl-C.")
    serve.add_argument(
        "--workers",
        metavar="N",
        type=_workers,
        default=1,
        help="processes that share both ports (1); more than one need redis in the configuration, and are replaced one "
        "by one on SIGHUP",
    )
    command("check", _check, "Check the configuration and list every fault in it; changes nothing.")
    handlers = command("handlers", _handlers, "Run the native side as a process of its own, at native.url.")
    handlers.add_argument("--listen", metavar="HOST:PORT", type=_address, help="instead of native.url's")
    command("routes", _routes, "List the configured routes.")
    order("status", _status, "Show each route's shares, trip and verdict.")
    share = order("set", _move, "Give native a share of a route's users. Legacy answers the rest.")
    shadow = order("shadow", _move, "Ask the other side too, for a share of a route's requests, and compare.")
    for moved, key in ((share, "share"), (shadow, "shadow")):
        moved.add_argument("route", metavar="ROUTE")
        moved.add_argument("share", metavar="PERCENT", type=_percent, help="such as 5%% or 0.05%%")
        moved.set_defaults(key=key)
    rollback = order("rollback", _rollback, "Send a route, or all of them, back to legacy until a reset.")
    which = rollback.add_mutually_exclusive_group(required=True)
    which.add_argument("route", nargs="?", metavar="ROUTE")
    which.add_argument("--all", action="store_true", help="every route")
    rollback.add_argument("--why", default="", help="the reason, for those who look at it later")
    reset = order("reset", _reset, "Lift a trip. The share stays 0 until you raise it.")
    reset.add_argument("route", metavar="ROUTE")
    order("seed", _seed, "Write the configured shares of routes that the store has no flag for yet.")
    mismatches = order("mismatches", _mismatches, "Show the latest differences between the sides.")
    mismatches.add_argument("route", nargs="?", metavar="ROUTE", help="only this route's")
    mismatches.add_argument("--count", type=_count, default=20, help="how many at most (20)")
    return parser


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


def _serve(options: argparse.Namespace) -> int:
    workers, post = options.workers, Post.taken(os.environ)
    if workers > 1 and post is None:
        from proxy import supervisor  # without all that only its workers need

        return supervisor.supervise(load(options.config, os.environ, lambda values: _apart(workers, values)), workers)
    from proxy import processes  # an operator's command must not wait until all that is imported

    config = load(
        options.config, os.environ, lambda values: (*_apart(workers, values), *processes.own_app_faults(values))
    )
    processes.serve(config) if post is None else processes.work(config, post)
    return 0


def _apart(workers: int, values: Values) -> Iterator[Fault]:
    """Why so many workers cannot go by this configuration."""
    if workers > 1 and values.get("redis") is None:
        yield Fault(
            "redis",
            f"--workers {workers} needs it: without it each worker has flags of its own, and an order reaches only one",
        )


def _handlers(options: argparse.Namespace) -> int:
    from proxy import processes

    processes.handlers(load(options.config, os.environ), options.listen)
    return 0


def _check(options: argparse.Namespace) -> int:
    from proxy import processes

    config = load(options.config, os.environ, processes.app_faults)
    return _say({"faults": []}, f"{options.config}: no faults; routes: {len(config.routes)}", options)


def _routes(options: argparse.Namespace) -> int:
    routes = load(options.config, os.environ).routes
    rows = [{"route": route.name, "match": route.match, "group": route.group} for route in routes]
    text = show.columns([("ROUTE", "GROUP", "MATCH"), *((r["route"], r["group"], r["match"]) for r in rows)])
    return _say({"routes": rows}, text, options)


def _status(options: argparse.Namespace) -> int:
    told = _orders(options).ask("GET", "/flags")
    return _say(told, show.status(told), options)


def _move(options: argparse.Namespace) -> int:
    return _ordered(options, "PATCH", _flag(options.route), {options.key: options.share})


def _rollback(options: argparse.Namespace) -> int:
    path = "/rollback" if options.all else f"{_flag(options.route)}/rollback"
    return _ordered(options, "POST", path, {"why": options.why})


def _reset(options: argparse.Namespace) -> int:
    return _ordered(options, "POST", f"{_flag(options.route)}/reset", {})


def _flag(route: str) -> str:
    return f"/flags/{quote(route, safe='')}"


def _seed(options: argparse.Namespace) -> int:
    told = _orders(options).ask("POST", "/seed", {})
    return _say(told, "seeded: " + (", ".join(told["seeded"]) or "nothing; every route has a flag already"), options)


def _mismatches(options: argparse.Namespace) -> int:
    query = {"count": str(options.count)} | ({"route": options.route} if options.route else {})
    told = _orders(options).ask("GET", "/mismatches", **query)
    return _say(told, show.mismatches(told), options)


def _ordered(options: argparse.Namespace, method: str, path: str, order: dict[str, Any]) -> int:
    told = _orders(options).ask(method, path, order)
    return _say(told, "\n".join(change["words"] for change in told["changes"]), options)


def _orders(options: argparse.Namespace) -> Orders:
    if options.admin is not None:
        return Orders(options.admin)
    admin = load_admin(options.config, os.environ)
    return Orders(admin.listen, admin.tokens)


def _say(told: Told, text: str, options: argparse.Namespace) -> int:
    print(json.dumps(told, indent=2) if options.json else text)
    return 0


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
