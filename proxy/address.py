"""Where to listen and whom to ask: a host and a port, or the path of a unix socket.  No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

_AUTHORITY = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[^:]*))?")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)")
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_PORTS = {"http": 80, "https": 443}
_UNIX = "unix://"
_LONGEST_PATH = 107  # bytes: what Linux has room for in a socket's address, but for the zero at its end


@dataclass(frozen=True, slots=True)
class Address:
    """`path`: of a unix socket, which has no host and no port. `tls`: it is spoken there."""

    host: str
    port: int
    tls: bool = False
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Where to listen: `127.0.0.1:8080`, `[::1]:8080`. Port 0 lets the system choose one."""
        if ":" not in text.rpartition("]")[2]:
            raise ValueError(f'"{text}" is not a host and a port; write both, such as 127.0.0.1:8080')
        host, port = _parts(text, text)
        return cls(host, port or 0)

    @classmethod
    def of_url(cls, text: str) -> Address:
        """Whom to ask: `http://127.0.0.1:3000`, `https://rails.internal`, `unix:///run/puma.sock`."""
        if text.lower().startswith(f"{_UNIX}/"):
            return cls("", 0, path=_path(text))
        url = _URL.fullmatch(text)
        if "@" in text:  # first, because a password must not be repeated in a message
            raise ValueError("a URL with a user or password is not supported; each request brings its own")
        if url is None:
            raise ValueError(f'"{text}" is no URL; write one such as http://127.0.0.1:3000')
        scheme = url["scheme"].lower()
        if scheme == "unix":
            raise ValueError(f'"{text}" is no whole path; write one with three slashes, such as unix:///run/puma.sock')
        if scheme not in _PORTS:
            raise ValueError(f'"{text}" is not asked by {url["scheme"]}; write http://, https:// or unix:///')
        if url["rest"] not in ("", "/"):
            raise ValueError(f'"{text}" has a path; write {scheme}://{url["authority"]}: requests keep their own paths')
        host, port = _parts(url["authority"], text)
        if port == 0:
            raise ValueError(f'"{text}" has the port 0, where nobody can be asked')
        return cls(host, _PORTS[scheme] if port is None else port, tls=scheme == "https")

    @property
    def authority(self) -> str:
        """The Host of a request that brings none."""
        return "localhost" if self.path else str(self)

    @property
    def is_loopback(self) -> bool:
        try:
            return bool(self.path) or ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


def _path(text: str) -> str:
    path = text[len(_UNIX) :]
    if path.endswith("/") or "\0" in path:
        raise ValueError(f'"{text}" names no unix socket; write its path, such as unix:///run/puma.sock')
    if len(path.encode("utf-8", "surrogateescape")) > _LONGEST_PATH:
        raise ValueError(f'"{text}" is longer than a unix socket\'s path may be ({_LONGEST_PATH} bytes)')
    return path


def _parts(authority: str, whole: str) -> tuple[str, int | None]:
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise ValueError(f'"{whole}" is no host and port; write 127.0.0.1:8080, or [::1]:8080 for IPv6')
    port = found["port"]
    if port is not None and not (re.fullmatch("[0-9]{1,5}", port) and int(port) <= 65_535):
        raise ValueError(f'"{whole}" has no valid port; it must be a number up to 65535')
    return _host(found, whole), None if port is None else int(port)


def _host(found: re.Match[str], whole: str) -> str:
    host: str = found["v6"] if found["v6"] is not None else found["host"]
    if not host:
        raise ValueError(f'"{whole}" has no host; write 127.0.0.1 for this machine alone or 0.0.0.0 for all interfaces')
    try:
        if found["v6"] is not None:
            return str(IPv6Address(host))
        if re.fullmatch("[0-9.]+", host):
            return str(ip_address(host))
    except ValueError:
        raise ValueError(f'"{whole}" has no valid address') from None
    if not _HOST.fullmatch(host):
        raise ValueError(f'"{whole}" has no valid host name')
    return host
