"""The story: a Rails application moves to native under its users' hands, and breaks twice on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from demo import claims
from demo.claims import Chapter, Tripped
from demo.operator import Operator, Watch
from demo.screen import Screen
from demo.site import MOVED, READS
from demo.traffic import Agent, Tally
from flags.flag import bucket

LIST, CREATE = "conversations.list", "messages.create"
WITHIN = 40.0  # seconds for a route to be judged, to trip, or to be compared often enough
COMPARED_ENOUGH = 20
QUIET = 5.0  # seconds without a mismatch after which none is still to come of a bug that is fixed
MORAL = (
    "No read failed, whatever native did. A write that breaks after its commit cannot be hidden from its sender by "
    "anyone: what can be done is to let few meet it, and to stop soon."
)
Deed = Callable[[], Awaitable[Tripped | None]]


class Story:
    """`seconds`: how long traffic runs on after each deed. `kept` tells how often each message is in the database."""

    def __init__(
        self,
        operator: Operator,
        watch: Watch,
        agents: Sequence[Agent],
        tally: Tally,
        kept: Callable[[], Awaitable[Mapping[str, int]]],
        screen: Screen,
        seconds: float,
    ) -> None:
        self._operator, self._watch, self._agents, self._tally = operator, watch, agents, tally
        self._kept, self._screen, self._seconds = kept, screen, seconds
        self._chapters: list[Chapter] = []
        self._refused: list[str] = []
        self._late = 0.0

    async def tell(self) -> bool:
        """Whether all that the story claims was so."""
        await self._chapter("Everything on legacy", self._wait)
        await self._chapter("Native in the shadow of every read", self._shadow)
        await self._chapter("5 % of the users on native", lambda: self._move("5%", MOVED))
        await self._chapter("25 % of the users on native", lambda: self._move("25%", MOVED))
        await self._chapter("A bug in a native read", self._break_list, LIST)
        await self._chapter("Compared again, and back to 25 %", self._recover_list)
        await self._chapter("A bug in a native write", self._break_create, CREATE)
        await self._chapter("Everybody on native", self._recover_create)
        await self._chapter("Back to legacy in one move", self._roll_back)
        return await self._conclude()

    async def _chapter(self, title: str, deed: Deed, bug: str | None = None) -> None:
        self._screen.title(f"{len(self._chapters) + 1}. {title}")
        sight, seen = self._watch.latest, self._tally.seen
        tripped = await deed()
        seen, sight = self._tally.seen - seen, self._watch.latest.since(sight)
        chapter = Chapter(title, seen, sight.native_answers, sight.matched, sight.mismatched, bug, tripped)
        self._chapters.append(chapter)
        self._screen.ended(chapter)

    async def _wait(self) -> None:
        await asyncio.sleep(self._seconds)

    async def _shadow(self) -> None:
        self._screen.say("Whatever users read, native is asked too, afterwards. Users hear legacy alone.")
        await self._order([("shadow", route, "100%") for route in READS])
        await self._wait()

    async def _move(self, share: str, routes: Sequence[str]) -> None:
        await self._order([("set", route, share) for route in routes])
        basis_points = int(share.removesuffix("%")) * 100
        moved = sum(bucket("default", str(agent.user_id)) < basis_points for agent in self._agents)
        self._screen.say(
            f"{moved} of these {len(self._agents)} agents fall into that {share} of all users, and stay there."
        )
        await self._wait()

    async def _break_list(self) -> Tripped | None:
        await self._judged(LIST)
        self._screen.say(
            "Native's list of conversations now answers 500. Legacy then answers the same request, so that users see "
            "nothing but a moment's delay."
        )
        return await self._break(LIST)

    async def _break_create(self) -> Tripped | None:
        await self._judged(CREATE)
        self._screen.say(
            "Native now keeps each new message, then fails, and its answer is lost. To ask legacy the same could write "
            "the message twice: nobody does, and the user sees the failure."
        )
        return await self._break(CREATE)

    async def _judged(self, route: str) -> None:
        """A rollback needs evidence: first let there be some, as there would be any day."""
        await self._watch.until(lambda sight: sight.routes[route].verdict == "healthy", WITHIN)

    async def _break(self, route: str) -> Tripped | None:
        since = time.time()
        await self._operator.let_in([route])
        await self._watch.until(lambda sight: sight.routes[route].trip is not None, WITHIN)
        trip = self._watch.latest.routes[route].trip
        if trip is None:
            self._screen.result(f"{route} was not rolled back within {WITHIN:.0f} s", good=False)
            await self._fix()
            return None
        tripped = Tripped(route, trip.at - since, trip.reason)
        self._screen.result(f"{tripped.after:.1f} s later {route} is back on legacy, by itself:")
        self._screen.printed(trip.reason)
        await self._wait()
        await self._fix()
        return tripped

    async def _fix(self) -> None:
        await self._operator.let_in([])
        fixed = self._watch.latest.at
        await self._watch.until(
            lambda sight: sight.at > fixed + QUIET and not self._watch.recent(QUIET).mismatched, WITHIN
        )
        self._screen.say("The bug is fixed.")

    async def _recover_list(self) -> None:
        fixed = self._watch.latest
        await self._watch.until(lambda sight: sight.since(fixed).routes[LIST].matched >= COMPARED_ENOUGH, WITHIN)
        compared = self._watch.latest.since(fixed).routes[LIST]
        self._screen.say(
            "Users are still on legacy, but the shadow has gone on asking native: "
            f"{compared.matched} of its last {compared.matched + compared.mismatched} answers agree with legacy's."
        )
        await self._order([("reset", LIST)])
        await self._move("25%", [LIST])

    async def _recover_create(self) -> None:
        await self._order([("reset", CREATE)])
        await self._move("100%", MOVED)

    async def _roll_back(self) -> None:
        typed = time.time()
        await self._order([("rollback", "--all", "--why", "enough")])
        done = time.time()
        await self._wait()
        last = await self._operator.native_last_asked()
        self._late = last - done
        self._screen.result(
            f"The last user's request reached native {max(last - typed, 0):.1f} s after the command was begun; "
            f"the command took {done - typed:.1f} s."
        )

    async def _order(self, orders: Sequence[Sequence[str]]) -> None:
        """Give the orders one after the other; what they print is shown where it is not the same over and over."""
        for order in orders:
            command = await self._operator.order(*order)
            self._screen.typed(command.typed)
            if not command.succeeded:
                self._refused.append(f"{command.typed}: {command.printed}")
            if len(orders) == 1 or not command.succeeded:
                self._screen.printed(command.printed)

    async def _conclude(self) -> bool:
        messages = claims.audit(dict(self._tally.sent), await self._kept())
        untrue = list(claims.untrue(self._chapters, messages, self._late, self._refused))
        self._screen.conclude(self._chapters, messages, untrue, MORAL)
        if untrue:
            self._screen.printed((await self._operator.order("mismatches", "--count", "5")).printed, lines=40)
        return not untrue
