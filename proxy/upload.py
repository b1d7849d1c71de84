"""The user's half of a request that is relayed: its upload, as it comes."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod

from proxy.connection import Connection
from proxy.early import INVITATION, Early
from proxy.errors import ClientStalled, StranglerError
from proxy.relay import Asked, Relay, User
from proxy.resting import Resting


class Upload:
    """Carried by a connection of the side's as soon as there is one. While too many others are under way there is none
    for the beginning of an upload, which waits for its end, or for one of the others to end; once there is much of it,
    for that alone."""

    # Most requests never change these: they are set on the class, and not for each request anew.
    response_complete = False
    _ended_at = 0.0
    _counted = _invited = False
    _early: Early | None = None
    _connection: Connection | None = None
    _resting: Resting | None = None
    _invitation: asyncio.TimerHandle | None = None

    def __init__(self, relay: Relay, asked: Asked, user: User) -> None:
        self._relay, self._asked, self._user, self._request = relay, asked, user, asked.request
        self._limits, self._unfinished = relay.legacy.limits(asked.route), relay.legacy.pool.unfinished
        self._uploaded = not self._request.has_body

    @abstractmethod
    def _take(self) -> None:
        """Take a connection, and ask."""

    @abstractmethod
    def _line_up(self) -> None:
        """Do so once one of the others has ended."""

    @abstractmethod
    def _rests(self) -> Resting:
        """Whom it is told whether it is the user who is waited for."""

    @abstractmethod
    def _give_up(self, failure: StranglerError) -> None: ...

    def start(self) -> None:
        """What came at once has come: nearly always all of it."""
        if self._uploaded or not self._waits():
            self._take()

    def upload(self, body: bytes) -> None:
        connection = self._connection
        if connection is not None:
            self._carry(connection, body)
            if connection.write_paused:
                self._hold_up()
                connection.when_writable(self._writable)
                connection.expect_answer()
            else:
                connection.expect_upload()
        elif not self.response_complete:
            early = self._early = self._early or Early(self._unfinished)
            early.add(body)
            if early.full:
                self._stop(early)

    def uploaded(self) -> None:
        if not self._uploaded:
            self._uploaded, self._ended_at = True, time.perf_counter()
            if self._resting is not None:
                self._resting.sends(False)
            if self._connection is not None:
                self._expect_answer(self._connection)
            elif self._early is not None and self._early.go():
                self._take()
            self._leave_pool()

    def _carry_on(self, connection: Connection) -> None:
        """The request's head is written: now what there is of its upload, and the rest as it comes."""
        if self._early is not None:
            for body in self._early.taken():
                self._carry(connection, body)
        if self._uploaded:
            self._expect_answer(connection)
        else:
            self._let_go_on()
            connection.expect_upload()
            if self._may_be_invited:
                self._invitation = asyncio.get_running_loop().call_later(INVITATION, self._invite)

    def _over(self) -> None:
        """Nothing of it is waited for any more."""
        if self._resting is not None:
            self._resting.over()
        self._uninvite()
        self._leave_pool()
        early, self._early = self._early, None
        if early is not None:
            early.go()

    async def _begin_in_turn(self) -> None:
        """The upload's place is its own. Raises Saturated."""
        if self._early is not None and self._early.waits:
            await self._unfinished.begin_in_turn()
            self._counted = True
            self._early.go()

    def _uninvite(self) -> None:
        if self._invitation is not None:
            self._invitation.cancel()
            self._invitation = None

    # Within

    def _waits(self) -> bool:
        self._counted = self._unfinished.begin()
        if self._counted:
            return False
        early = self._early = self._early or Early(self._unfinished)
        early.wait(self._place_came, self._stalled, self._limits.stall)
        if self._may_be_invited:
            self._invite()
        self._rests().sends(True)
        if early.full:
            self._stop(early)
        return True

    def _place_came(self) -> None:
        """It is this one's. What comes of that waits until the request has ended that left it."""
        self._counted = True
        asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        """Unless it has come whole meanwhile, or is over."""
        if self._early is not None and self._early.go():
            self._rests().sends(False)
            self._take()

    def _stop(self, early: Early) -> None:
        """Take no more of it for now."""
        self._hold_up()
        if early.line_up():
            self._line_up()

    def _leave_pool(self) -> None:
        if self._counted:
            self._counted = False
            self._unfinished.end()

    def _stalled(self) -> None:
        self._give_up(ClientStalled())

    def _carry(self, connection: Connection, body: bytes) -> None:
        connection.write_chunk(body) if self._request.chunked else connection.write(body)

    def _expect_answer(self, connection: Connection) -> None:
        if self._request.chunked:
            connection.write(b"0\r\n\r\n")
        connection.expect_answer()

    def _writable(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.when_writable(None)
            if not self._uploaded:
                connection.expect_upload()
        self._let_go_on()

    def _hold_up(self) -> None:
        self._user.pause_reading()
        if self._resting is not None:
            self._resting.sends(False)

    def _let_go_on(self) -> None:
        self._user.resume_reading()
        if not self._uploaded:
            self._rests().sends(True)

    @property
    def _may_be_invited(self) -> bool:
        return self._request.expects and self._asked.version != "1.0" and not self._invited

    def _invite(self) -> None:
        self._invitation, self._invited = None, True
        self._user.write(b"HTTP/1.1 100 Continue\r\n\r\n")
