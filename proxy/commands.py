"""What each command does; each returns its exit code."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from flags.errors import UnknownRoute
from flags.flag import Side
from flags.outlook import by_thresholds
from flags.rollback import Judge
from proxy import local, scarcity, show, terminal, watching
from proxy.config import load, load_admin, route_names
from proxy.contradictions import Values
from proxy.descriptors import raise_limit
from proxy.faults import Fault
from proxy.forcing import Force
from proxy.judged import rule_of, rules_of
from proxy.orders import LONG, OrderFailed, Orders
from proxy.post import Post
from proxy.signature import Secret
from proxy.values import read_secret

Told = Mapping[str, Any]
TURNS = {"pause": "paused", "resume": "running", "abort": "aborted"}  # of a ramp


def serve(options: argparse.Namespace) -> int:
    raise_limit()
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


def handlers(options: argparse.Namespace) -> int:
    from proxy import processes

    processes.handlers(load(options.config, os.environ), options.listen)
    return 0


def check(options: argparse.Namespace) -> int:
    from proxy import processes

    config = load(options.config, os.environ, processes.app_faults)
    unbounded = [name for name, rule in rules_of(config).items() if rule.judge is Judge.THRESHOLD]
    errs = by_thresholds(rule_of(config)) if unbounded else {}
    text = f"{options.config}: no faults; routes: {len(config.routes)}"
    if unbounded:
        text += f"\n{show.false_alarms(unbounded, errs)}"
    told = {str(rate): chance for rate, chance in errs.items()}
    return _say({"faults": [], "thresholds": {"routes": unbounded, "falseAlarms": told}}, text, options)


def routes(options: argparse.Namespace) -> int:
    routes = load(options.config, os.environ).routes
    rows = [{"route": route.name, "match": route.match, "group": route.group} for route in routes]
    text = show.columns([("ROUTE", "GROUP", "MATCH"), *((r["route"], r["group"], r["match"]) for r in rows)])
    return _say({"routes": rows}, text, options)


def force(options: argparse.Namespace) -> int:
    """Made here and not asked of a running proxy: whoever can read its secret may do it."""
    config = load(options.config, os.environ)
    if config.secret is None:
        raise OrderFailed(
            f"nothing was made: {options.config} names no secret, by which the proxy would know the token. Write one "
            "(openssl rand -hex 32), name its file as secret, and start the proxy with it"
        )
    unknown = sorted(set(options.routes) - {route.name for route in config.routes})
    if unknown:
        raise OrderFailed(str(UnknownRoute(unknown[0])))
    until = math.ceil(time.time() + options.seconds)
    made = Force(Side(options.side), frozenset(options.routes), until, options.who)
    told = {
        "side": options.side,
        "routes": sorted(made.routes),
        "who": made.who,
        "until": until,
        "token": made.token(Secret(read_secret(config.secret))),
    }
    return _say(told, show.force(told), options)


def status(options: argparse.Namespace) -> int:
    if options.watch:
        return _watch(options)
    orders = orders_to(options)
    if options.route is None:
        told = orders.ask("GET", "/flags")
        return _say(told, show.status(told), options)
    told = orders.ask("GET", f"{_flag(options.route)}/outlook")
    return _say(told, show.outlook(told), options)


def _watch(options: argparse.Namespace) -> int:
    orders = orders_to(options)

    def draw() -> None:
        try:
            told = orders.ask("GET", "/flags")
        except OrderFailed as error:  # it may be back at the next look
            terminal.failed(str(error), as_json=options.json)
        else:
            terminal.drawn(told, show.status(told), as_json=options.json)

    watching.watch(orders, draw)
    return 0


def events(options: argparse.Namespace) -> int:
    watching.follow(orders_to(options), lambda told: terminal.line(told, show.record(told), as_json=options.json))
    return 0


def webhooks(options: argparse.Namespace) -> int:
    told = orders_to(options).ask("GET", "/webhooks")
    return _say(told, show.webhooks(told), options)


def audit(options: argparse.Namespace) -> int:
    only = {"route": options.route} if options.route else {}
    told = orders_to(options).ask("GET", "/audit", None, count=str(options.count), **only)
    return _say(told, show.audit(told), options)


def move(options: argparse.Namespace) -> int:
    path = _flag(options.route)
    done = _ordered(options, "PATCH", path, {options.key: options.share, **_meant(options)})
    if options.key == "share" and not options.json:
        scarcity.warn(orders_to(options), path)
    return done


def rollback(options: argparse.Namespace) -> int:
    if options.local or options.state:
        return _rollback_here(options)
    if options.all:
        return _ordered(options, "POST", "/rollback", {"why": options.why}, patience=LONG)
    return _ordered(options, "POST", f"{_flag(options.route)}/rollback", {"why": options.why})


def _rollback_here(options: argparse.Namespace) -> int:
    """Without the operators' port: through this machine's disk, and a signal."""
    directory = options.state or load_admin(options.config, os.environ).state
    if directory is None:
        raise OrderFailed(
            "nothing changed: admin.state names no directory in which a rollback could be kept; name the one that the "
            "proxy uses with --state, or give the order without --local"
        )
    if options.route and not options.state and options.route not in route_names(options.config, os.environ):
        raise OrderFailed(str(UnknownRoute(options.route)))
    try:
        taken = local.roll_back(directory, options.route, options.why or "no reason given")
    except OSError as error:
        raise OrderFailed(f"nothing changed: {directory} cannot be written ({error.strerror})") from error
    processes = [{"pid": pid, "taken": is_taken} for pid, is_taken in taken.items()]
    _say({"state": str(directory), "processes": processes}, local.words(directory, options.route, taken), options)
    return 0 if all(taken.values()) else 1


def reset(options: argparse.Namespace) -> int:
    return _ordered(options, "POST", f"{_flag(options.route)}/reset", _meant(options))


def _meant(options: argparse.Namespace) -> dict[str, Any]:
    """For which flag the order is meant, if that was said, and why it is given."""
    generation = {} if options.generation is None else {"generation": options.generation}
    return {**generation, "why": options.why}


def ramp(options: argparse.Namespace) -> int:
    """Without shares it is looked at or turned; with them, what they would bring is shown before anything is moved."""
    orders, path = orders_to(options), f"{_flag(options.route)}/ramp"
    if options.turn is None and options.shares:
        return _begin_ramp(options, orders, path)
    if options.shares:
        raise OrderFailed(f"nothing changed: --{options.turn} takes no shares")
    if options.turn in TURNS:
        told = orders.ask("PATCH", path, {"state": TURNS[options.turn], **_meant(options)})
        return _say(told, show.ramp(told), options)
    told = orders.ask("GET", path)
    return _say(told, f"{show.ramp(told)}\n{show.prospects(told)}" if told["ramp"] else show.ramp(told), options)


def _begin_ramp(options: argparse.Namespace, orders: Orders, path: str) -> int:
    told = orders.ask("GET", path, shares=",".join(options.shares))
    if options.dry_run:
        return _say(told, show.prospects(told), options)
    if not options.json:
        terminal.line(told, show.prospects(told), as_json=False)
    order = {"shares": options.shares, "hold": options.hold, "minRequests": options.min_requests}
    if options.parity is not None:
        order["parity"] = options.parity
    begun = orders.ask("POST", path, {**order, **_meant(options)})
    return _say({**told, **begun}, show.ramp(begun), options)


def _flag(route: str) -> str:
    return f"/flags/{quote(route, safe='')}"


def seed(options: argparse.Namespace) -> int:
    told = orders_to(options).ask("POST", "/seed", {})
    return _say(told, "seeded: " + (", ".join(told["seeded"]) or "nothing; every route has a flag already"), options)


def _ordered(
    options: argparse.Namespace, method: str, path: str, order: dict[str, Any], patience: float | None = None
) -> int:
    told = orders_to(options).ask(method, path, order, patience)
    return _say(told, "\n".join(change["words"] for change in told["changes"]), options)


def orders_to(options: argparse.Namespace) -> Orders:
    if options.admin is not None:
        return Orders(options.admin)
    admin = load_admin(options.config, os.environ)
    return Orders(admin.listen, admin.tokens)


def _say(told: Told, text: str, options: argparse.Namespace) -> int:
    terminal.say(told, text, as_json=options.json)
    return 0
