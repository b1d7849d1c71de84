"""What a single value of a configuration may be: parsers that say what is wrong, and the files that values name."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, StrictInt

from proxy import units
from proxy.address import Address
from proxy.exchange import UNMATCHED
from proxy.peers import Network
from proxy.routes import Route
from proxy.subject import Source
from shadow.compare import Rules

T = TypeVar("T")

SECRET = 32  # bytes that a secret has at least: as long as the HMAC-SHA256 that it keys

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_KEY = re.compile(r"[!-~]{1,200}")
_IMPORT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_REDIS = re.compile(
    r"(redis|rediss)://([^/@]*@)?([^/@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?(/[0-9]{1,5})?|unix://.+"
)


def read_tokens(path: Path) -> frozenset[str]:
    """The tokens in a file, one a line."""
    try:
        tokens = frozenset(_content(path).decode().split())
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    if not tokens:
        raise ValueError(f"{path} holds no token; write one a line")
    return tokens


def read_secret(path: Path) -> bytes:
    """The secret in a file, without the white space around it."""
    secret = _content(path).strip()
    if len(secret) < SECRET:
        raise ValueError(
            f"{path} holds {len(secret)} bytes, which can be guessed; a secret has at least {SECRET}, "
            "such as `openssl rand -hex 32` writes"
        )
    return secret


def certificates(path: Path) -> Path:
    """A file with at least one certificate."""
    _content(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(f"{path} holds no certificate in PEM") from None
    return path


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:  # a zero in its name
        raise ValueError(f'"{path}" is no path of a file') from None


def _text(parse: Callable[[str], T]) -> Callable[[object], T]:
    """The parser of one text value; what is no text never reaches it."""

    def parsed(value: object) -> T:
        if not isinstance(value, str):
            raise ValueError(f'must be text, not "{value}"')
        return parse(value)

    return parsed


def _like(form: re.Pattern[str], message: str) -> BeforeValidator:
    def parse(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(message)
        return text

    return BeforeValidator(_text(parse))


def _file(read: Callable[[Path], object]) -> BeforeValidator:
    """The path of a file that can be read so; it is read again wherever it is used."""

    def parse(text: str) -> Path:
        read(Path(text))
        return Path(text)

    return BeforeValidator(_text(parse))


def _route_name(name: str) -> str:
    if name == UNMATCHED:
        raise ValueError(f'"{name}" is the name under which requests outside every route are counted; choose another')
    return name


def _redis_port(url: str) -> str:
    found = _REDIS.fullmatch(url)
    if found is not None and found["port"] is not None and not 0 < int(found["port"]) <= 65_535:
        raise ValueError(f"has no valid port ({found['port']}); it must be a number from 1 to 65535")
    return url


def _network(text: str) -> Network:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'"{text}" is no network; write one like 10.0.0.0/8 or 2001:db8::/32') from None
    if "/" in text and text.partition("/")[0] != str(network.network_address):
        raise ValueError(f'"{text}" names an address within a network; write {network} for the network')
    return network


def _listen(value: object) -> Address:
    return _text(Address.parse)(str(value) if isinstance(value, int) else value)  # a bare port, too, is told what lacks


def _url(value: object) -> Address:
    return value if isinstance(value, Address) else _text(Address.of_url)(value)


def _one_or_several(value: object) -> object:
    """A single URL is parsed here, so that what is wrong with it stands at the key and not at the first of a list."""
    if value == []:
        raise ValueError("must name at least one")
    return value if isinstance(value, list) else (_url(value),)


def _match(text: str) -> str:
    route = Route.parse("", text)
    return f"{route.method} {route.pattern}"


def not_empty(value: object) -> object:
    """Asked before the elements are: pydantic would count those that are wrong as not there."""
    if value == []:
        raise ValueError("must name at least one; leave it out for the default")
    return value


def _rule(text: str) -> str:
    Rules.parse([text])
    return text


def _window(value: object) -> float:
    seconds = units.duration(value)
    if seconds < 1:
        raise ValueError(f'"{value}" is too short; requests are counted by the second')
    return seconds


Duration = Annotated[float, BeforeValidator(units.duration)]
Window = Annotated[float, BeforeValidator(_window)]
Size = Annotated[int, BeforeValidator(units.size)]
Share = Annotated[int, BeforeValidator(units.share)]
Rate = Annotated[float, BeforeValidator(units.rate)]
Count = Annotated[StrictInt, Field(ge=1)]
Places = Annotated[StrictInt, Field(ge=0)]
Listen = Annotated[InstanceOf[Address], BeforeValidator(_listen)]
Urls = Annotated[tuple[Annotated[InstanceOf[Address], BeforeValidator(_url)], ...], BeforeValidator(_one_or_several)]
Name = Annotated[str, _like(_NAME, "must be letters, digits, _ . and -, beginning with a letter or digit, at most 100")]
RouteName = Annotated[Name, AfterValidator(_route_name)]
ImportString = Annotated[str, _like(_IMPORT, "must be a module and a name in it, such as handlers.app:app")]
# The value is not repeated: it may hold a password.
RedisUrl = Annotated[str, _like(_REDIS, "must be a URL such as redis://127.0.0.1:6379/1"), AfterValidator(_redis_port)]
RedisKey = Annotated[str, _like(_KEY, "must be a key of Redis: visible ASCII characters, at most 200")]
Cidr = Annotated[InstanceOf[IPv4Network] | InstanceOf[IPv6Network], BeforeValidator(_text(_network))]
SubjectSource = Annotated[InstanceOf[Source], BeforeValidator(_text(Source.parse))]
Match = Annotated[str, BeforeValidator(_text(_match))]
Rule = Annotated[str, BeforeValidator(_text(_rule))]
TokensFile = Annotated[Path, _file(read_tokens)]
SecretFile = Annotated[Path, _file(read_secret)]
CertificatesFile = Annotated[Path, _file(certificates)]
ReadableFile = Annotated[Path, _file(_content)]
