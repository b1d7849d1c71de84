"""The story: a Rails application moves to native under its users' hands, breaks twice on the way, and dies often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from demo.claims import Chapter, Tripped
from demo.deaths import EVERY, Deaths
from demo.log import Log
from demo.operator import Operator, Watch
from demo.screen import Screen
from demo.site import MOVED, READS, Site
from flags.flag import bucket

LIST, CREATE = "conversations.list", "messages.create"
HALF = "50%"
WITHIN = 40.0  # seconds for a route to be judged, to trip, or to be compared often enough
COMPARED_ENOUGH = 20
SHOWN = 4  # of many commands
QUIET = 5.0  # seconds without a mismatch after which none is still to come of a bug that is fixed
Deed = Callable[[], Awaitable[Tripped | None]]


class Story:
    """`seconds`: how long traffic runs on after each deed; `deadly`: for how long sides are killed. `users` are ids."""

    def __init__(
        self,
        site: Site,
        operator: Operator,
        watch: Watch,
        users: Sequence[int],
        log: Log,
        screen: Screen,
        seconds: float,
        deadly: float,
    ) -> None:
        self._site, self._operator, self._watch, self._users, self._log = site, operator, watch, users, log
        self._screen, self._seconds, self._deadly = screen, seconds, deadly
        self._deaths = Deaths({"legacy": site.stack.rails, "native": site.native}, watch, screen, self._put_back)
        self.chapters: list[Chapter] = []
        self.refused: list[str] = []
        self.late = 0.0  # seconds for which native was still asked after everything was rolled back

    async def tell(self) -> None:
        await self._chapter("Everything on legacy", self._wait)
        await self._chapter("Native in the shadow of reads", self._shadow)
        await self._chapter("5 % of the users on native", lambda: self._move("5%", MOVED))
        await self._chapter("25 % of the users on native", lambda: self._move("25%", MOVED))
        await self._chapter("A bug in a native read", self._break_list, LIST)
        await self._chapter("Compared again, and back to 25 %", self._recover_list)
        await self._chapter("A bug in a native write", self._break_create, CREATE)
        await self._chapter("Everybody on native", self._recover_create)
        await self._chapter("Half of the users, on every route", self._halve)
        await self._chapter(f"A side is killed every {EVERY:.0f} s", self._kill)
        await self._chapter("Back to legacy in one move", self._roll_back)

    async def _chapter(self, title: str, deed: Deed, bug: str | None = None) -> None:
        self._screen.title(f"{len(self.chapters) + 1}. {title}")
        sight, seen, deaths = self._watch.latest, self._log.seen, self._site.deaths
        tripped = await deed()
        seen, sight, deaths = self._log.seen - seen, self._watch.latest.since(sight), self._site.deaths - deaths
        chapter = Chapter(title, seen, sight.native_answers, sight.matched, sight.mismatched, bug, tripped, deaths)
        self.chapters.append(chapter)
        self._screen.ended(chapter)

    async def _wait(self) -> None:
        await asyncio.sleep(self._seconds)

    async def _shadow(self) -> None:
        self._screen.say(
            "Whenever users read conversations and messages, native is asked too, afterwards. Users hear legacy alone."
        )
        await self._order([("shadow", route, "100%") for route in READS])
        await self._wait()

    async def _move(self, share: str, routes: Sequence[str]) -> None:
        await self._order([("set", route, share) for route in routes[:SHOWN]])
        if rest := routes[SHOWN:]:
            await self._operator.adjust(rest, share=share)
            self._screen.printed(f"… and so for {len(rest)} more routes")
        basis_points = int(share.removesuffix("%")) * 100
        moved = sum(bucket("default", str(user)) < basis_points for user in self._users)
        self._screen.say(f"{moved} of these {len(self._users)} users fall into that {share} of all, and stay there.")
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
            "the message twice: the proxy does not, and the user sees the failure. Who sends it again under the same "
            "key gets the message that is there."
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

    async def _halve(self) -> None:
        await self._operator.adjust(READS, shadow="0%")
        self._screen.say(
            "So far it was four routes. Now it is all of them: sessions, users, settings, inboxes, changes of "
            "conversations, and Facebook's webhooks. Nothing is compared any more."
        )
        await self._move(HALF, list(self._watch.latest.routes))
        # What still waits to be compared would be compared with the dead.
        await self._watch.until(lambda _: not self._watch.recent(QUIET).compared, WITHIN)

    async def _kill(self) -> None:
        self._screen.say(
            f"For {self._deadly:.0f} s one of the two, as chance will have it, is killed (kill -9) and started again. "
            "Native's users are answered by legacy meanwhile; legacy's have to ask again until it is back, and so has "
            "everybody whose answer died with a side. Whoever sends a message again uses the same Idempotency-Key."
        )
        wrong = len(self._log.wrong)
        await self._deaths.go_on(self._deadly)
        wrong = len(self._log.wrong) - wrong
        self._screen.result(f"Wrong answers: {wrong}.", good=not wrong)

    async def _put_back(self, routes: Sequence[str]) -> None:
        """A death is a failure like any other: left alone, native's routes would stay on legacy after the first one."""
        await self._operator.reset(routes)
        await self._operator.adjust(routes, share=HALF)
        self._screen.say(f"Native's failures rolled {', '.join(routes)} back: reset, and at {HALF} again.")

    async def _roll_back(self) -> None:
        typed = time.time()
        await self._order([("rollback", "--all", "--why", "enough")])
        done = time.time()
        await self._wait()
        last = await self._operator.native_last_asked()
        self.late = last - done
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
                self.refused.append(f"{command.typed}: {command.printed}")
            if len(orders) == 1 or not command.succeeded:
                self._screen.printed(command.printed)
