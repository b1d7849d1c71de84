"""One request that is relayed: bytes both ways, as they come."""

from __future__ import annotations

import asyncio
import time

from flags.flag import Side
from proxy.answer import refusal_on_wire
from proxy.connection import Connection
from proxy.errors import Broken, ClientLeft, ClientStalled, SideFailed, StranglerError
from proxy.exchange import Exchange
from proxy.framed import Framed
from proxy.headers import Header, forward_trailers, message_head, status_line
from proxy.relay import Asked, Relay, User
from proxy.resting import Resting
from proxy.upload import Upload
from proxy.upstream import take, take_idle, to_tell


class Relayed(Upload):
    """Told of the upload by the user's connection, which serves no other if not to be kept alive, of the answer by the
    side's."""

    complete = touched = False
    status = 0
    _reused = _left = False
    _framed: Framed | None = None
    _opening: asyncio.Task[None] | None = None
    _failure: StranglerError | None = None

    def __init__(self, relay: Relay, asked: Asked, user: User, *, keep_alive: bool) -> None:
        super().__init__(relay, asked, user)
        self.keep_alive = keep_alive
        self._second, self._started = int(time.time()), time.perf_counter()
        relay.observer.opened(asked.route, asked.decision, self._second)

    def _take(self) -> None:
        if self._opening is not None:
            self._stop_opening()  # it was in line, and has come whole
        connection = take_idle(self._relay.legacy.pool, self._request)
        if connection is not None:
            self._ask(connection)
        else:
            self._line_up()

    def _line_up(self) -> None:
        self._opening = self._relay.legacy.tasks.start(self._open())

    def _stop_opening(self) -> bool:
        """Whether it was about to."""
        opening, self._opening = self._opening, None  # its traceback leads back here
        return opening is not None and opening.cancel()

    async def _open(self, after: Broken | None = None) -> None:
        """`after`: how the kept connection broke, for which a fresh one is taken."""
        pool = self._relay.legacy.pool
        try:
            await self._begin_in_turn()
            connection = await (take(pool, self._request) if after is None else pool.take(fresh=True))
        except SideFailed as failure:
            self._opening = None
            return self._give_up(failure if after is None else to_tell(after, failure))
        except Exception:
            self._user.reset()  # a fault of our own is reported by the tasks' owner, and no user is left waiting for it
            raise
        self._opening = None
        return self._ask(connection, again=after is not None)

    def _ask(self, connection: Connection, *, again: bool = False) -> None:
        request = self._request
        self._connection, self._reused = connection, connection.asked > 0 and not again
        whole = self.whole if self._asked.version == "1.1" and request.method != "HEAD" else None
        connection.ask(request, self, self._limits, whole)
        if self._connection is not connection:
            return  # it had ended, and we have heard of it
        self._carry_on(connection)

    # The user's connection

    def go_on(self) -> None:
        self._rests().goes_on()
        if self._connection is not None:
            self._connection.go_on()

    def leave(self, told: int = 0) -> None:
        """The user is gone; or is `told` by this status why this is not answered."""
        left = ClientLeft(told)
        if not self._stop_opening() and self._connection is not None:
            self._connection.fail(left)
        elif not self.response_complete:
            self._give_up(left)

    # The side's connection

    @property
    def full(self) -> bool:
        return self._user.full

    def whole(self, status: int, answer: bytes) -> bool:
        """The answer, as it may be passed on; or not, for this connection is to close, and the user should know."""
        if not self.keep_alive:
            return False
        self.status, self.complete = status, True
        self._uninvite()
        self.answered()
        self._user.write(answer)
        self._finish(keep=True)
        return True

    def interim(self, status: int, phrase: bytes, headers: list[Header]) -> None:
        if self._asked.version == "1.0" or (status == 100 and self._invitation is None):
            return  # HTTP/1.0 knows none (RFC 9110 §15.2), and nobody waits for this one
        if status == 100:
            self._uninvite()
        self._user.write(message_head(status_line(status, phrase), forward_trailers(headers)))

    def begin(self, status: int, phrase: bytes, headers: list[Header]) -> None:
        self.status = status
        self._uninvite()
        self._framed = framed = Framed(self._request.method, self._asked.version, keep_alive=self.keep_alive)
        self._out = [framed.head(status, phrase, headers)]  # what the user is not yet told of the answer
        self.keep_alive = framed.keep_alive

    def feed(self, body: bytes) -> None:
        if self._framed is not None:
            self._out.append(self._framed.piece(body))

    def end(self, trailers: list[Header]) -> None:
        self.complete = True
        if self._framed is not None:
            self._out.append(self._framed.end(trailers))

    def answered(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.keeps_alive = connection.keeps_alive and self._uploaded
            self._relay.legacy.pool.give(connection)

    def wake(self) -> None:
        if self._framed is not None and self._out and not self.response_complete:
            self._user.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
            self._out.clear()
        if self.complete and not self.response_complete:
            self._finish(keep=self.keep_alive)
        elif self._framed is not None and not self.complete:
            self._rests().gets(full=self._user.full)

    def fail(self, failure: StranglerError) -> None:
        self.answered()
        if isinstance(failure, Broken) and self._may_ask_again(failure):
            self._opening = self._relay.legacy.tasks.start(self._open(failure))
        else:
            self._give_up(failure)

    # Within

    def _rests(self) -> Resting:
        resting = self._resting
        if resting is None:
            asked = self._asked
            resting = self._resting = self._relay.observer.resting(asked.route, asked.decision, self._second)
        return resting

    def _may_ask_again(self, broken: Broken) -> bool:
        """Whether nobody can have acted on the request: a kept connection that the side closed just as we used it."""
        return self._reused and (not broken.reached or (self._request.repeatable and not self.touched))

    def _give_up(self, failure: StranglerError) -> None:
        """Tell the user, as far as that is still possible."""
        self._failure = failure
        self._left = isinstance(failure, ClientLeft)
        told = isinstance(failure, SideFailed | ClientStalled)
        self._uninvite()
        if self.status:
            self.wake()
            if self._framed is not None and self._framed.delimited and told:
                self._user.reset()  # an end would pass for the answer's
        if self.status or not isinstance(failure, SideFailed | ClientStalled):
            if isinstance(failure, ClientLeft):
                self.status = self.status or failure.told
            return self._finish(keep=False)
        keep, self.status = self.keep_alive and not self._left, failure.status
        side = "client" if self._left else Side.LEGACY.value
        head_only = self._request.method == "HEAD"
        self._user.write(refusal_on_wire(side, failure, self._asked.request_id, keep=keep, head_only=head_only))
        return self._finish(keep=keep)

    def _finish(self, *, keep: bool) -> None:
        self.response_complete = True
        self._over()
        ended, asked, failure = time.perf_counter(), self._asked, self._failure
        kind = failure.kind if isinstance(failure, SideFailed) else "5xx" if self.status >= 500 else None
        waited = ended - (self._ended_at or self._started) if self._uploaded else None
        decided = asked.route, asked.decision, self._second
        exchange = Exchange(*decided, ended - self._started, self.status, Side.LEGACY, kind, self._left, waited)
        relay = self._relay
        relay.observer.closed(exchange)
        if relay.records_all or kind is not None:
            relay.record(asked.request_id, asked.client, self._request.method, asked.target, exchange)
        self._user.served(self, keep=keep)
