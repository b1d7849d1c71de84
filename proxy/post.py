"""A worker's post: the place among the workers that its supervisor gives it, in the environment of its process."""

from __future__ import annotations

import json
import socket
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass, fields

from proxy.crowd import Crowd, Share

VARIABLE = "STRANGLER_POST"


@dataclass(frozen=True, slots=True)
class Post:
    """File descriptors of what the worker inherits: both listening sockets, its ends of the line and of the pulse, and
    the crowd's, of which a supervisor that was started before there was one says nothing.

    `listen` and `admin` are the addresses that the sockets are bound to, as the configuration had them then.
    """

    worker: int
    public: int
    private: int
    line: int
    pulse: int
    listen: str
    admin: str
    crowd: int | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        sockets = self.public, self.private, self.line, self.pulse
        return sockets if self.crowd is None else (*sockets, self.crowd)

    @property
    def share(self) -> Share | None:
        return None if self.crowd is None else Share(Crowd(self.crowd), self.worker)

    def sockets(self) -> tuple[socket.socket, socket.socket, socket.socket, socket.socket]:
        """The public and the private socket, the line's and the pulse's."""
        public, private, line, pulse = (socket.socket(fileno=descriptor) for descriptor in self.descriptors[:4])
        for sock in (public, private, line, pulse):
            sock.setblocking(False)
        return public, private, line, pulse

    def variable(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def taken(cls, environ: MutableMapping[str, str]) -> Post | None:
        """This process's post, if a supervisor has started it; its own children shall not think that it is theirs."""
        told = environ.pop(VARIABLE, None)
        if told is None:
            return None
        known = {field.name for field in fields(cls)}  # a supervisor of a later version may tell more
        return cls(**{name: value for name, value in json.loads(told).items() if name in known})
