"""A client of the Redis that holds our keys: the server that is named, or the master that others name.

All our keys share one hash tag: of a Cluster, too, one node holds them all, and what speaks to one server speaks to it.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import MovedError, ReadOnlyError, RedisError

from flags.store.layout import PREFIX
from flags.store.place import Kind, Place, Server


def connect(place: Place, limit: float, *, retries: int = 1, key: str = PREFIX, **options: Any) -> Redis:
    """`limit`: seconds to reach a server; whoever calls bounds each call as a whole. `key`: one of those in use.

    No `socket_timeout` bounds it: redis-py waits for its writes by asyncio.wait_for then, which before Python 3.12 can
    swallow a cancellation, and the caller would never end. A call is asked again on a fresh connection, for the pooled
    one may be of before a restart, or lead to what was the master.
    """
    known = {**_bounds(limit, retries), **options}
    if place.kind is Kind.SERVER and not place.tls:
        return Redis.from_url(place.url, **known)
    known |= {"db": place.database, **place.login, **_secured(place)}
    if place.kind is Kind.SERVER:
        ((host, port),) = place.servers
        return Redis.from_pool(ConnectionPool(connection_class=_Secured, host=host, port=port, **known))
    kind = _LedSecured if place.tls else _Led
    return Redis.from_pool(ConnectionPool(connection_class=kind, lead=_Lead(place, key, limit), **known))


class _Lead:
    """Knows whom to ask which server holds the keys now."""

    def __init__(self, place: Place, key: str, limit: float) -> None:
        self._place, self._slot, self._limit = place, key_slot(key.encode()), limit

    async def master(self) -> Server:
        """The first answer to a question that all are asked at once: one that hangs keeps nobody."""
        faults = []
        async with asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(self._answer(server)) for server in self._place.servers]
            for answer in asyncio.as_completed(asking):
                found = await answer
                if not isinstance(found, Exception):
                    for task in asking:
                        task.cancel()
                    return found
                faults.append(str(found))
        raise Lost(f"nobody says which server is the master: {'; '.join(faults)}")

    async def _answer(self, server: Server) -> Server | Exception:
        try:
            return await self._ask(server)
        except (RedisError, OSError) as fault:
            return fault

    async def _ask(self, server: Server) -> Server:
        host, port = server
        kind = _Secured if self._place.tls else Connection
        known = {**_bounds(self._limit, 0), **self._place.asking, **_secured(self._place)}
        asked: Any = kind(host=host, port=port, **known)
        try:
            await asked.connect()
            if self._place.kind is Kind.SENTINEL:
                await asked.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._place.master)
                return self._master(server, await asked.read_response())
            await asked.send_command("CLUSTER", "SLOTS")
            return self._holder(server, await asked.read_response())
        finally:
            await asked.disconnect(nowait=True)

    def _master(self, asked: Server, said: Any) -> Server:
        if not said:
            raise Lost(f"the Sentinel at {_shown(asked)} knows no master {self._place.master}")
        return said[0].decode(), int(said[1])

    def _holder(self, asked: Server, said: Any) -> Server:
        for first, last, (host, port, *_), *_ in said:
            if first <= self._slot <= last:
                return (host or b"").decode() or asked[0], port  # one that knows no name for itself is whom we asked
        raise Lost(f"the Cluster's node at {_shown(asked)} knows none that holds slot {self._slot}")


class _Secured(Connection):
    """Over TLS. Redis-py's own would believe every authority of this machine beside the one that is named, and look all
    of them up for each connection, which stops the event loop for tens of milliseconds."""

    def __init__(self, *, files: Mapping[str, str], **options: Any) -> None:
        super().__init__(**options)
        self._files = files

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": _trust(self._files) if self._files else _trust_in_all()}

    async def disconnect(self, nowait: bool = False, *arguments: Any, **options: Any) -> None:
        if nowait and self._writer is not None:
            self._writer.transport.abort()  # TLS would wait for the other end's goodbye, which may hang
        await super().disconnect(nowait, *arguments, **options)


class _Led(Connection):
    """To whichever server is the master when it is made; found not to be, it is closed, and the next one goes where the
    server says that the keys have gone, or else asks again."""

    def __init__(self, *, lead: _Lead, **options: Any) -> None:
        super().__init__(**options)
        self._lead = lead
        self._moved: Server | None = None

    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        if not self.is_connected:
            moved, self._moved = self._moved, None
            self.host, self.port = moved or await self._lead.master()
        await super().connect_check_health(check_health, retry_socket_connect)

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health)
        # Who was asked may have heard of a failover later than the server itself; a replica would answer, of the past.
        await self.send_command("ROLE")
        role, *_ = await self.read_response()
        if role not in (b"master", "master"):
            raise Lost(f"{_shown((self.host, self.port))} is no master")

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except (MovedError, ReadOnlyError) as error:
            await self.disconnect(nowait=True)
            if isinstance(error, MovedError):  # others may hear of it later
                self._moved = error.host or self.host, error.port
            raise Lost(f"{_shown((self.host, self.port))} is no longer the master") from error


class _LedSecured(_Led, _Secured):
    pass


def _trust(files: Mapping[str, str]) -> ssl.SSLContext:
    """Read for each connection: certificates are renewed."""
    context = ssl.create_default_context(cafile=files.get("ssl_ca_certs"))
    if "ssl_certfile" in files:
        context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"))
    return context


@functools.cache
def _trust_in_all() -> ssl.SSLContext:
    return _trust({})


def _secured(place: Place) -> Mapping[str, Any]:
    return {"files": place.files} if place.tls else {}


def _bounds(limit: float, retries: int) -> dict[str, Any]:
    again = Retry(NoBackoff(), retries, supported_errors=(Lost,))
    return {"socket_timeout": None, "socket_connect_timeout": limit, "retry": again}


def _shown(server: Server) -> str:
    return "{}:{}".format(*server)
