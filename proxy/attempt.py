"""Native's try at a request, and whether legacy may be asked the same if it fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from starlette.types import Scope

from proxy.answer import Answer, Kept
from proxy.errors import Broken, ClientLeft, Errored, NoAnswer, Raised, SideFailed
from proxy.fallback import CAP, Places, why_not
from proxy.native import Native
from proxy.request import SAFE

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """`budget`: seconds that native has until its first byte, waiting for the user's body not counted. `keep`: bytes of
    a body kept for asking legacy the same, `compare` for asking the candidate."""

    budget: float
    keep: int
    compare: int


class Attempt:
    """One request that native is asked.

    `failure`: how native failed, if legacy is to be asked the same, where a place is taken for it. `withheld`: why
    legacy is not asked what native failed.
    """

    __slots__ = (
        "_answer", "_bounds", "_kept", "_limit", "_native", "_placed", "_places", "_safe", "_scope",
        "failure", "withheld",
    )  # fmt: skip

    def __init__(
        self, native: Native, places: Places, bounds: Bounds, scope: Scope, kept: Kept, answer: Answer
    ) -> None:
        self._native, self._places, self._bounds = native, places, bounds
        self._scope, self._kept, self._answer = scope, kept, answer
        self._safe = scope["method"] in SAFE
        self._limit = asyncio.timeout(bounds.budget)
        self._placed = False
        self.failure: SideFailed | None = None
        self.withheld: str | None = None

    async def run(self) -> None:
        """Ask native. Raises its failure where there is no answer, and none to be had of legacy."""
        with self._answer.judged(self._may_start), self._kept.waits_told(self._waits):
            failure = await self._asked()
        if failure is None or self._answer.complete:
            return
        self._decide(reached=failure.reached)
        if self.withheld is not None:
            raise failure
        self.failure = failure

    def over(self) -> None:
        """Nobody is asked any more: the place at legacy is free."""
        if self._placed:
            self._places.leave()

    def _may_start(self, head: Answer) -> bool:
        """Native's answer goes to the user unless it is a failure that legacy is to be asked for."""
        if head.status >= 500:
            self._decide(reached=True)
            if self.withheld is None:
                return False
        self._limit.reschedule(None)  # the budget ends with the first byte that reaches the user
        return True

    def _decide(self, *, reached: bool) -> None:
        """Take a place at legacy, or note why not. Asked of a failing head, and again when native has ended: by then
        a body that went on may have outgrown what is kept."""
        answer = self._answer
        harmless = self._safe or not reached or answer.discarded
        self.withheld = self.withheld or why_not(begun=answer.started, harmless=harmless, whole=self._kept.whole)
        if self.withheld is None and not self._placed:
            self._placed = self._places.take()
            self.withheld = None if self._placed else CAP

    def _waits(self, for_user: bool) -> None:
        if not (self._answer.started or self._limit.expired()):
            budget = asyncio.get_running_loop().time() + self._bounds.budget
            self._limit.reschedule(None if for_user else budget)

    async def _asked(self) -> SideFailed | None:
        """None if native answered, or the user has left it."""
        kept, answer = self._kept, self._answer
        try:
            async with self._limit:
                await self._native(dict(self._scope), kept, answer)
        except ClientLeft:
            raise
        except SideFailed as failure:
            return failure
        except Exception as error:
            if self._limit.expired():
                return NoAnswer(f"native gave no answer within {self._bounds.budget:g} s")
            if not kept.left:  # an app whose user is gone may end as it likes
                log.error("native raised", exc_info=error, request_id=self._scope["strangler.request_id"])
                return Raised(repr(error))
        if answer.held:
            return Errored(f"native answered {answer.status}")
        return None if answer.complete or kept.left else Broken("native ended without completing its answer")
