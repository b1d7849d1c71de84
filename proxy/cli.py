"""`strangler …`: one command for those who run the proxy and those who move the shares."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from flags.flag import Side
from proxy import arguments, commands, mismatch_command, parity_command, replay_command, terminal
from proxy.arguments import BadUsage, Parser
from proxy.faults import ConfigError
from proxy.orders import OrderFailed

Run = Callable[[argparse.Namespace], int]
EXIT_CODES = "Exit codes: 0 done, 1 refused or failed, 2 bad usage or configuration."


def main(given: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if given is None else given
    try:
        options = _parser().parse_args(words)
    except BadUsage as error:
        terminal.misused(str(error), error.usage, as_json="--json" in words)
        return 2
    sys.path.insert(0, str(Path.cwd()))  # `native.app` is found as `python -m` would find it
    try:
        code: int = options.run(options)
    except BadUsage as error:
        terminal.misused(str(error), error.usage, as_json=options.json)
        return 2
    except ConfigError as error:
        terminal.faulty(error, options.config, is_order=options.is_order, as_json=options.json)
        return 2
    except OrderFailed as error:
        terminal.failed(str(error), as_json=options.json, told=error.told)
        return 1
    except BrokenPipeError:  # whoever read has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that nothing is said of it at the end
        return 1
    except KeyboardInterrupt:
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = Parser("strangler", description=__doc__, epilog=EXIT_CODES)
    every = parser.add_subparsers(required=True, metavar="COMMAND")
    common = Parser(add_help=False)
    common.add_argument("--config", type=Path, default=Path("config.yaml"), help="the configuration (config.yaml)")
    common.add_argument("--json", action="store_true", help="print JSON, for programs")

    port = Parser(add_help=False)
    port.add_argument(
        "--admin",
        metavar="HOST:PORT",
        type=arguments.address,
        help="the operators' port, instead of the configuration's: no file is read, the token is STRANGLER_TOKEN",
    )

    def command(name: str, run: Run, about: str, *more: Parser) -> argparse.ArgumentParser:
        added = every.add_parser(name, parents=[common, *more], help=about, description=about, epilog=EXIT_CODES)
        added.set_defaults(run=run, is_order=bool(more))
        return added

    def order(name: str, run: Run, about: str) -> argparse.ArgumentParser:
        return command(name, run, about, port)

    _add_workers(command("serve", commands.serve, "Run the proxy until SIGTERM or Ctrl-C."))
    command("check", commands.check, "Check the configuration and list every fault in it; changes nothing.")
    handlers = command("handlers", commands.handlers, "Run the native side as a process of its own, at native.url.")
    handlers.add_argument("--listen", metavar="HOST:PORT", type=arguments.address, help="instead of native.url's")
    command("routes", commands.routes, "List the configured routes.")
    _add_force(command("force", commands.force, "Make a token by which a tester has one side, whatever the shares."))
    _add_what_to_show(order("status", commands.status, "Show each route's shares, trip and verdict."))
    share = order("set", commands.move, "Give native a share of a route's users. Legacy answers the rest.")
    shadow = order("shadow", commands.move, "Ask the other side too, for a share of a route's requests, and compare.")
    for moved, key in ((share, "share"), (shadow, "shadow")):
        moved.add_argument("route", type=arguments.text, metavar="ROUTE")
        moved.add_argument("share", metavar="PERCENT", type=arguments.percent, help="such as 5%% or 0.05%%")
        moved.set_defaults(key=key)
        _add_what_is_meant(moved)
    rollback = order("rollback", commands.rollback, "Send a route, or all of them, back to legacy until a reset.")
    _add_what_to_roll_back(rollback)
    reset = order("reset", commands.reset, "Lift a trip. The share stays 0 until you raise it.")
    reset.add_argument("route", type=arguments.text, metavar="ROUTE")
    _add_what_is_meant(reset)
    _add_way_up(order("ramp", commands.ramp, "Raise native's share step by step, each earned by healthy evidence."))
    order("seed", commands.seed, "Write the configured shares of routes that the store has no flag for yet.")
    order("events", commands.events, "Tell of each change of a flag as it happens, until you press Ctrl-C.")
    audit = order("audit", commands.audit, "Show who changed which flag, when and why; the latest first.")
    mismatch_command.add(order("mismatches", mismatch_command.run, "Show, resolve or mute what the sides differ in."))
    parity_command.add(order("parity", parity_command.run, "Show how alike the sides answer on a route, as a number."))
    replay_command.add(command("replay", replay_command.run, "Ask both sides what a file holds, and compare."))
    order("webhooks", commands.webhooks, "Show what webhooks were told of trips and resets, and what they never took.")
    audit.add_argument("route", type=arguments.text, nargs="?", metavar="ROUTE", help="only this route's")
    audit.add_argument("--count", type=arguments.count, default=20, help="how many at most (20)")
    return parser


def _add_workers(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--workers",
        metavar="N",
        type=arguments.workers,
        default=1,
        help="processes that share both ports (1); more than one need redis in the configuration, and are replaced one "
        "by one on SIGHUP",
    )


def _add_what_to_show(status: argparse.ArgumentParser) -> None:
    what = status.add_mutually_exclusive_group()
    about = "only this route, with how soon its judge would notice a defect, and how often it errs"
    what.add_argument("route", type=arguments.text, nargs="?", metavar="ROUTE", help=about)
    what.add_argument("--watch", action="store_true", help="draw it anew at each change, and each second")


def _add_force(force: argparse.ArgumentParser) -> None:
    force.add_argument("side", choices=[side.value for side in Side])
    force.add_argument(
        "--routes", nargs="+", default=[], metavar="ROUTE", help="only on these; without it, on every one"
    )
    force.add_argument(
        "--for", dest="seconds", required=True, metavar="TIME", type=arguments.duration, help="such as 1h"
    )
    force.add_argument(
        "--who", required=True, metavar="NAME", type=arguments.who, help="whose it is: recorded at each use"
    )


def _add_way_up(ramp: argparse.ArgumentParser) -> None:
    ramp.add_argument("route", type=arguments.text, metavar="ROUTE")
    ramp.add_argument(
        "shares", nargs="*", metavar="PERCENT", type=arguments.step, help="such as 1 5 25 50 100; without: the status"
    )
    ramp.add_argument(
        "--hold", metavar="TIME", default="10m", type=arguments.time, help="of each share, at least (10m)"
    )
    ramp.add_argument(
        "--min-requests", metavar="N", type=arguments.count, default=1000, help="of native's at each share (1000)"
    )
    about = "mismatches that may be left, proved with 99 %% confidence before each step, such as 0.1%%; needs shadowing"
    ramp.add_argument("--parity", metavar="PERCENT", type=arguments.step, help=about)
    ramp.add_argument("--dry-run", action="store_true", help="only show how soon a defect would be noticed at each")
    turns = ramp.add_mutually_exclusive_group()
    for turn, about in (
        ("status", "where it stands"),
        ("pause", "stay at the share that is in force"),
        ("resume", "go on"),
        ("abort", "end it; the share stays, `strangler rollback` takes it back"),
    ):
        turns.add_argument(f"--{turn}", dest="turn", action="store_const", const=turn, help=about)
    _add_what_is_meant(ramp, "the flag that it begins from, or the ramp that is turned,")


def _add_what_is_meant(order: argparse.ArgumentParser, which: str = "the flag") -> None:
    order.add_argument(
        "--generation",
        metavar="N",
        type=arguments.generation,
        help=f"only if {which} is still of this generation, as `strangler status --json` told it",
    )
    order.add_argument("--why", type=arguments.text, default="", help="the reason, for those who look at it later")


def _add_what_to_roll_back(rollback: argparse.ArgumentParser) -> None:
    which = rollback.add_mutually_exclusive_group(required=True)
    which.add_argument("route", type=arguments.text, nargs="?", metavar="ROUTE")
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
        type=arguments.directory,
        help="--local with this directory instead of admin.state: no file is read",
    )
    rollback.add_argument("--why", type=arguments.text, default="", help="the reason, for those who look at it later")


if __name__ == "__main__":
    sys.exit(main())
