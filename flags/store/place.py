"""Where Redis is, as an operator writes it: a server, the master that Sentinels watch, or a Cluster. No I/O."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

Server = tuple[str, int]

FORMS = (
    "must be a URL such as redis://127.0.0.1:6379/1, unix:///run/redis.sock, "
    "redis+sentinel://one:26379,two:26379/its-master/1 or redis+cluster://one:6379,two:6379; with TLS rediss, "
    "rediss+sentinel or rediss+cluster"
)
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")  # as redis-py calls them, for people know these words
SENTINELS_LOGIN = ("sentinel_username", "sentinel_password")

_URL = re.compile(
    r"(?P<scheme>rediss?)(\+(?P<kind>sentinel|cluster))?://((?P<login>[^/@?]*)@)?(?P<servers>[^/@?]+)"
    r"(?P<path>/[^?]*)?(\?(?P<query>.*))?"
)
_SERVER = re.compile(r"(?P<host>[^:\[\]]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
_DATABASE = re.compile(r"[0-9]{1,5}")


class Kind(enum.Enum):
    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Place:
    """`servers` are the one itself, or those that say which is: Sentinels, who know it as `master`, or nodes of a
    Cluster. None of them: it listens on a socket of this machine.

    `login` is for Redis, `asking` for those who are asked; `files` are for TLS.
    """

    url: str = field(repr=False)
    kind: Kind = Kind.SERVER
    servers: tuple[Server, ...] = ()
    master: str = ""
    database: int = 0
    tls: bool = False
    login: Mapping[str, str] = field(default_factory=dict, repr=False)
    asking: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: str) -> Place:
        """A ValueError says what is wrong, and repeats nothing that may be a password."""
        if url.startswith("unix://") and url != "unix://":
            return cls(url)
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError(FORMS)
        kind = Kind(found["kind"] or Kind.SERVER.value)
        servers = tuple(_servers(found["servers"], 26379 if kind is Kind.SENTINEL else 6379))
        if kind is Kind.SERVER and len(servers) > 1:
            raise ValueError("names several servers; only redis+sentinel:// and redis+cluster:// do")
        master, database = _path(kind, (found["path"] or "").removeprefix("/"))
        said = _query(kind, found["query"] or "")
        files = {word: said[word] for word in FILES if word in said}
        if files and found["scheme"] == "redis":
            raise ValueError(f"says {next(iter(files))}, and that there is no TLS; with TLS it begins with rediss")
        user, _, password = (found["login"] or "").partition(":")
        login, asking = _login(unquote(user), unquote(password)), _login(*map(said.get, SENTINELS_LOGIN))
        tls = found["scheme"] == "rediss"
        return cls(url, kind, servers, master, database, tls, login, login if kind is Kind.CLUSTER else asking, files)

    @property
    def shown(self) -> str:
        """For messages: no password."""
        return re.sub(r"^[\w+]+://(.*@)?|\?.*$", "", self.url)


def _servers(text: str, default: int) -> Iterator[Server]:
    for each in text.split(","):
        found = _SERVER.fullmatch(each)
        if found is None:
            raise ValueError(FORMS)
        port = int(found["port"] or default)
        if not 0 < port <= 65_535:
            raise ValueError(f"has no valid port ({found['port']}); it must be a number from 1 to 65535")
        yield unquote(found["host"].strip("[]")), port


def _path(kind: Kind, path: str) -> tuple[str, int]:
    """The master's name, and the database."""
    master, _, database = path.rpartition("/") if path.count("/") else (path, "", "")
    if kind is not Kind.SENTINEL:
        master, database = "", path
    elif not master:
        raise ValueError("does not say which master the Sentinels watch; write redis+sentinel://one:26379/its-name")
    if database and not _DATABASE.fullmatch(database):
        raise ValueError(FORMS)
    if kind is Kind.CLUSTER and int(database or 0):
        raise ValueError("names a database, and a Cluster has only one; leave it out")
    return unquote(master), int(database or 0)


def _query(kind: Kind, query: str) -> Mapping[str, str]:
    known = (*FILES, *SENTINELS_LOGIN) if kind is Kind.SENTINEL else FILES
    said = dict(parse_qsl(query, keep_blank_values=True))
    for word in said:
        if word not in known:
            raise ValueError(f'says "{word}" behind the "?", where only {", ".join(known)} may stand')
    return said


def _login(user: str | None, password: str | None) -> Mapping[str, str]:
    """As a connection takes it."""
    told = {"username": user, "password": password}
    return {word: value for word, value in told.items() if value}
