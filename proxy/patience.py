"""How long users are waited for, and how their connections end."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, cast

from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from proxy.alarm import Alarm
from proxy.batched import Batched
from proxy.here import Here
from proxy.leaving import leaving_of
from proxy.relayed import Relayed
from proxy.reply import HIGH_WATER
from proxy.strict import BROKEN_OFF, MALFORMED, SLOW, Head, LastWord
from proxy.transports import is_left, reset


@dataclass(frozen=True, slots=True)
class Patience:
    """How long users may take, in seconds."""

    idle: float = 75.0  # a balancer must let go of an idle connection first, or it answers 502 for us
    head: float = 30.0  # from the first byte of a request to the end of its head
    parting: float = 3.0  # in which an idle user may still send a request to a server that stops
    linger: float = 2.0  # in which a user who is refused can read why
    reader: float = 60.0  # in which a user takes nothing of an answer before it is given up
    look: float = 1.0  # between two looks whether one who is kept waiting to send is still there


PATIENCE = Patience()


class Patient(HttpToolsProtocol):
    """A user's connection, as far as time and its end go: who is waited for, how long, and who is told what at last.

    `_serving` is the request that is being answered, `_receiving` the one whose body is coming in.
    """

    def __init__(
        self,
        patience: Patience,
        here: Here,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._patience, self._here = patience, here
        self._alarm = Alarm(self._too_late)
        self._serving: Relayed | RequestResponseCycle | None = None
        self._receiving: Relayed | RequestResponseCycle | None = None
        self._fault: LastWord | None = None
        self._heading = self._timed = self._refused = self._leaving = False
        self._head = Head()
        self._unread = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.transport.set_write_buffer_limits(HIGH_WATER)
        self.out = Batched(self.transport, self.loop)
        self._alarm.within(self._patience.idle)

    def shutdown(self) -> None:
        """Serve what has come and one request more, whose answer says that it is the last.

        To close at once would meet a request on its way, which its user could not tell from one that was acted on.
        """
        self._leaving = True
        serving = self._serving
        if serving is None:
            self._await_request()
        elif not self.pipeline and not (serving.status if isinstance(serving, Relayed) else serving.response_started):
            serving.keep_alive = False

    def pause_writing(self) -> None:
        self.flow.pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._alarm.within(self._patience.reader)

    def resume_writing(self) -> None:
        self.flow.resume_writing()
        serving = self._serving
        if serving is not None:
            if self.flow.read_paused:
                self._alarm.within(self._patience.look)
            else:
                self._alarm.off()
            if isinstance(serving, Relayed):
                serving.go_on()
        elif not self._refused:
            self._await_request()

    @property
    def full(self) -> bool:
        return self.flow.write_paused

    def write(self, data: bytes) -> None:
        self.out.write(data)

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def close(self) -> None:
        """For uvicorn's cycle when it breaks off. What it says once its answer is complete, its end says, too."""
        serving = self._serving
        if isinstance(serving, RequestResponseCycle) and not serving.response_complete and not self.is_closing():
            self._serving = None
            self._close()

    def pause_reading(self) -> None:
        self.flow.pause_reading()
        if not self.flow.write_paused:
            self._alarm.within(self._patience.look)

    def resume_reading(self) -> None:
        self.flow.resume_reading()

    def reset(self) -> None:
        reset(self.transport)

    def _await_request(self) -> None:
        """Hear the next request, or the rest of its head, once the user has taken enough of the answers."""
        if self.flow.write_paused:
            return self.flow.pause_reading()
        patience, self._timed = self._patience, self._heading
        if self.flow.read_paused:
            self.flow.resume_reading()
        limit = patience.head if self._heading else patience.parting if self._leaving else patience.idle
        return self._alarm.within(limit)

    def _part_came(self) -> None:
        """A piece of the connection ended within a head, or within a message."""
        if (large := self._head.fault()) is not None:
            self._refuse(large)
        elif self._heading and not self._timed and self._serving is None:
            self._timed = True
            self._alarm.within(self._patience.head)

    def _abandon(self, serving: Relayed | RequestResponseCycle, told: int = 0) -> None:
        """The user is gone; or is `told` by this status why what he asked is not answered."""
        self._serving = None
        if isinstance(serving, Relayed):
            serving.leave(told)
        elif not serving.response_complete:
            serving.disconnected = True
            serving.message_event.set()
            leaving_of(cast(Scope, serving.scope)).leave(told)

    def _refuse(self, why: LastWord) -> None:
        """Say what is wrong with what came last, once all before it is answered; nothing more is read."""
        self._refused, self._fault = True, why
        broken, self._receiving = self._receiving, None
        self.pipeline = deque(waiting for waiting in self.pipeline if waiting[0] is not broken)
        if broken is not None and broken.response_complete:
            return self._close()  # its answer came first
        if broken is not None and broken is self._serving:
            begun = broken.status if isinstance(broken, Relayed) else broken.response_started
            if why is MALFORMED:
                self._fault = why = BROKEN_OFF
            self._abandon(broken, 0 if begun else why.status)
            if begun:
                return self._let_go()
        return self._tell(why) if self._serving is None else None

    def _tell(self, why: LastWord) -> None:
        if not self.transport.is_closing():
            self.out.write(why.answer())
            self._here.told(why)
            self._close()

    def _close(self) -> None:
        """Close, but not on what is still being sent: that would reset the connection, and the answer be lost."""
        more = self._receiving is not None or self._refused or self.flow.read_paused
        if not more or not self.transport.can_write_eof():
            return self._let_go()
        self._refused = True
        self.out.flush()
        self.transport.write_eof()
        self.flow.resume_reading()
        return self._alarm.within(self._patience.linger)

    def _let_go(self) -> None:
        """Close, as soon as the user has taken what is written."""
        self._alarm.within(self._patience.reader)
        self.out.close()

    def _too_late(self) -> None:
        if self._serving is not None and not self.flow.write_paused:
            return self._look()
        unread = self.transport.get_write_buffer_size()
        if unread and unread != self._unread:  # slow, but it reads
            self._unread = unread
            self._alarm.within(self._patience.reader)
        elif unread or self._refused:
            self.transport.abort()
        elif self._heading:
            self._refuse(SLOW)
        else:
            self.transport.close()
        return None

    def _look(self) -> None:
        """The event loop tells nothing of a user who is not read from."""
        if self.flow.read_paused:
            if is_left(self.transport):
                self.transport.abort()
            else:
                self._alarm.within(self._patience.look)
