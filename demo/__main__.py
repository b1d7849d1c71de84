"""`python -m demo [--once]`: everything on this machine, real traffic, a live table, and the story."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from types import FrameType

from demo import claims, screen
from demo.engineer import ReleaseEngineer, furnish
from demo.log import Log
from demo.operator import Operator, Watch
from demo.screen import Screen
from demo.service import ServiceError
from demo.shift import Shift
from demo.site import STRANGLER, Site, running_site
from demo.story import Story
from demo.traffic import THINK, USERS, Traffic, accounts

SHOWN = 10.0  # seconds that the table looks back
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STORED_WITHIN = 60.0
INTERRUPTED = 130
MORAL = (
    "No read failed while there was a side to answer it, whatever native did. A write that breaks after its commit "
    "cannot be hidden from its sender by anyone: what can be done is to let few meet it, to stop soon, and to answer "
    "who sends it again with what is there."
)


def main() -> int:
    options = _options()
    for number in STOPS:
        signal.signal(number, _leave)
    try:
        more = " Unleash," if options.unleash else ""
        print(f"Starting PostgreSQL, Redis, Rails, Sidekiq,{more} native and the proxy (some 15 s).", flush=True)
        with running_site(unleash=options.unleash) as site:
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
    parser.add_argument(
        "--unleash", action="store_true", help="move shares in Unleash, whose own server is started, too"
    )
    parser.add_argument("--chapter", type=float, default=8.0, metavar="SECONDS", help="traffic in each chapter (8)")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long sides are killed, one every 10 s (1)")
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
    application = site.stack.application
    traffic, watch, operator = (
        Traffic(site.proxy.url, application, accounts(application, USERS)),
        Watch(site),
        await _operator(site),
    )
    view = Screen(screen.console(), lambda: watch.recent(SHOWN), lambda: traffic.log.seen)
    async with contextlib.aclosing(traffic), contextlib.aclosing(operator), asyncio.TaskGroup() as tasks:
        _cancel_on_signals()
        _introduce(view, site, len(traffic.users))
        await traffic.sign_in()
        shift = Shift(THINK)
        working = tasks.create_task(traffic.work(shift))
        watching = tasks.create_task(watch.follow(view.refresh))
        await watch.until(lambda sight: sight.native_ready, 30.0)
        with view:
            ids = [user.id for user in traffic.users]
            story = Story(site, operator, watch, ids, traffic.log, view, options.chapter, 60 * options.minutes)
            await story.tell()
            shift.end()
            await working
            true = await _conclude(view, watch, operator, story, traffic.log)
            if not options.once:
                working = tasks.create_task(traffic.work(Shift(THINK)))
                await _stay(view, site)
        watching.cancel()
    return 0 if true else 1


async def _operator(site: Site) -> Operator:
    if site.unleash is None:
        return Operator(site)
    await furnish(site.unleash, site.routes)
    return ReleaseEngineer(site, site.unleash)


def _introduce(view: Screen, site: Site, users: int) -> None:
    view.say(
        f"{users} users of two accounts sign in through the proxy, {site.proxy.url}, and get to work: they read "
        "conversations and messages, answer, and change what there is to change; and people write to them on Facebook. "
        "Every answer is checked against what its user was told before, and what fails is asked again."
    )
    view.say(
        "As the story is short, a route is judged by its last 20 s, from 20 answers of native on; it is rolled back "
        "when native fails more than 5 % of them, and 2 % more than legacy."
    )


async def _conclude(view: Screen, watch: Watch, operator: Operator, story: Story, log: Log) -> bool:
    """Whether all that the story claims was so. Everybody has his answers, and nobody is at work."""
    # What Facebook delivered is stored by a job.
    await watch.until(lambda _: log.delivered <= operator.messages_kept().keys(), STORED_WITHIN)
    messages = claims.audit(log.creates, log.delivered, operator.messages_kept())
    untrue = list(claims.untrue(story.chapters, messages, log.wrong, story.late, story.refused))
    view.conclude(story.chapters, claims.checked(log.answered, len(log.wrong)), messages, untrue, MORAL)
    if untrue:
        view.printed((await operator.order("mismatches", "--count", "5")).printed, lines=40)
    return not untrue


async def _stay(view: Screen, site: Site) -> None:
    view.say("Traffic goes on until Ctrl-C. Move it yourself, in another terminal:")
    view.typed(f"cd {site.directory}")
    view.typed(f"{STRANGLER} reset conversations.list")
    if site.unleash is None:
        view.typed(f"{STRANGLER} set conversations.list 50%")
    else:
        view.say(f"… and switch conversations.list on at {site.unleash.url} (user admin, password unleash4all).")
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
