"""`python -m demo [--once]`: everything on this machine, real traffic, a live table, and the story."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from types import FrameType

from demo import screen
from demo.operator import Operator, Watch
from demo.screen import Screen
from demo.service import ServiceError
from demo.site import STRANGLER, Site, running_site
from demo.story import Story
from demo.traffic import AGENTS, Agent, Tally, sign_in_all

SHOWN = 10.0  # seconds that the table looks back
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


def main() -> int:
    options = _options()
    for number in STOPS:
        signal.signal(number, _leave)
    try:
        print("Starting PostgreSQL, Redis, Rails, Sidekiq, native and the proxy (some 15 s).", flush=True)
        with running_site() as site:
            return _run(site, options)
    except KeyboardInterrupt:
        print("Stopped: nothing is left running.")
        return INTERRUPTED
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/demo", description=__doc__)
    parser.add_argument(
        "--once", action="store_true", help="end after the story: 0 if all that it claims was so, else 1"
    )
    parser.add_argument("--chapter", type=float, default=8.0, metavar="SECONDS", help="traffic in each chapter (8)")
    return parser.parse_args()


def _leave(number: int, _: FrameType | None) -> None:
    _deaf()
    raise KeyboardInterrupt(signal.Signals(number).name)


def _deaf() -> None:
    """Whoever is impatient must not interrupt the stopping: that would leave something behind."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


def _run(site: Site, options: argparse.Namespace) -> int:
    try:
        return asyncio.run(_show(site, options))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except ExceptionGroup as group:
        raise _first(group) from group
    finally:
        _deaf()


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The service that died, if one did; else whatever went wrong first."""
    died, _ = group.split(ServiceError)
    found: Exception = died or group
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found


async def _show(site: Site, options: argparse.Namespace) -> int:
    tally, watch = Tally(), Watch(site)
    view = Screen(screen.console(), lambda: watch.recent(SHOWN), lambda: tally.seen)
    async with contextlib.AsyncExitStack() as clients, asyncio.TaskGroup() as tasks:
        _cancel_on_signals()
        agents = [await clients.enter_async_context(Agent(site.proxy.url, email, tally)) for email in AGENTS]
        _introduce(view, site)
        await sign_in_all(agents)
        working = [tasks.create_task(agent.work()) for agent in agents]
        working.append(tasks.create_task(watch.follow(view.refresh)))
        await watch.until(lambda sight: sight.native_ready, 30.0)
        with view:
            operator = Operator(site)
            story = Story(operator, watch, agents, tally, operator.messages_kept, view, options.chapter)
            true = await story.tell()
            if not options.once:
                await _stay(view, site)
        for task in working:
            task.cancel()
    return 0 if true else 1


def _introduce(view: Screen, site: Site) -> None:
    view.say(
        f"{len(AGENTS)} agents sign in through the proxy, {site.proxy.url}, and get to work: they list conversations, "
        "open some, read their messages, and answer."
    )
    view.say(
        "As the story is short, a route is judged by its last 20 s, from 20 answers of native on; it is rolled back "
        "when native fails more than 5 % of them, and 2 % more than legacy."
    )


async def _stay(view: Screen, site: Site) -> None:
    view.say("Traffic goes on until Ctrl-C. Move it yourself, in another terminal:")
    view.typed(f"cd {site.directory}")
    view.typed(f"{STRANGLER} reset conversations.list")
    view.typed(f"{STRANGLER} set conversations.list 50%")
    while True:
        await asyncio.sleep(SHOWN)
        view.routes()


def _cancel_on_signals() -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in STOPS:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


if __name__ == "__main__":
    sys.exit(main())
