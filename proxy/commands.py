"""What each command does; each returns its exit code."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from flags.errors import UnknownRoute
from proxy import local, show
from proxy.config import load, load_admin, route_names
from proxy.contradictions import Values
from proxy.faults import Fault
from proxy.orders import OrderFailed, Orders
from proxy.post import Post

Told = Mapping[str, Any]


def serve(options: argparse.Namespace) -> int:
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
    return _say({"faults": []}, f"{options.config}: no faults; routes: {len(config.routes)}", options)


def routes(options: argparse.Namespace) -> int:
    routes = load(options.config, os.environ).routes
    rows = [{"route": route.name, "match": route.match, "group": route.group} for route in routes]
    text = show.columns([("ROUTE", "GROUP", "MATCH"), *((r["route"], r["group"], r["match"]) for r in rows)])
    return _say({"routes": rows}, text, options)


def status(options: argparse.Namespace) -> int:
    told = _orders(options).ask("GET", "/flags")
    return _say(told, show.status(told), options)


def move(options: argparse.Namespace) -> int:
    return _ordered(options, "PATCH", _flag(options.route), {options.key: options.share})


def rollback(options: argparse.Namespace) -> int:
    if options.local or options.state:
        return _rollback_here(options)
    path = "/rollback" if options.all else f"{_flag(options.route)}/rollback"
    return _ordered(options, "POST", path, {"why": options.why})


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
    return _ordered(options, "POST", f"{_flag(options.route)}/reset", {})


def _flag(route: str) -> str:
    return f"/flags/{quote(route, safe='')}"


def seed(options: argparse.Namespace) -> int:
    told = _orders(options).ask("POST", "/seed", {})
    return _say(told, "seeded: " + (", ".join(told["seeded"]) or "nothing; every route has a flag already"), options)


def mismatches(options: argparse.Namespace) -> int:
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
