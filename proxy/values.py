"""What a single value of a configuration may be: parsers that say what is wrong, and the files that values name."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, StrictInt

from flags.flag import WHOLE
from flags.rollback import Judge
from flags.store.place import Place
from proxy import units
from proxy.address import Address
from proxy.exchange import UNMATCHED
from proxy.peers import Network
from proxy.roles import Holder, holders
from proxy.routes import Route
from proxy.subject import Source
from shadow.rules import Rules

T = TypeVar("T")

ENVIRONMENT = "env:"  # what a variable is named by, where else a file is
SECRET = 32  # bytes that a secret has at least: as long as the HMAC-SHA256 that it keys

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_KEY = re.compile(r"[!-~]{1,200}")
_IMPORT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SERVER = re.compile(r"https?://([^/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^?#]*)?")
_CLIENT_TOKEN = re.compile(r"[!-~]+:[!-~]+\.[!-~]+")
_TOKEN = re.compile(r"[!-~]+")


def read_tokens(place: Path) -> Mapping[str, Holder]:
    """The tokens in a file, or in a variable of the environment, which is written `env:NAME`; see `proxy.roles`."""
    variable = str(place).removeprefix(ENVIRONMENT) if str(place).startswith(ENVIRONMENT) else None
    try:
        return holders(os.environ.get(variable, "") if variable else _content(place).decode())
    except UnicodeDecodeError:
        raise ValueError(f"{place} is not UTF-8") from None
    except ValueError as error:
        raise ValueError(str(error) if str(place) in str(error) else f"{place}: {error}") from None


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


def _folder(path: Path) -> None:
    """Of a file that will be written."""
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is no directory: nothing could be kept there")


def _state_directory(text: str) -> Path:
    """A directory that this process may write into, or make; nothing is made yet."""
    path = Path(text)
    try:
        there = next(each for each in (path, *path.absolute().parents) if each.exists())
    except (OSError, ValueError):
        raise ValueError(f'"{text}" is no path of a directory') from None
    if not there.is_dir():
        raise ValueError(f"{there} is no directory")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{there} cannot be written by this user")
    return path


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


def _redis(url: str) -> str:
    """Its certificates are read here: a file that is none is named at the start, and not at the first connection."""
    for word, path in Place.parse(url).files.items():
        try:
            (certificates if word == "ssl_ca_certs" else _content)(Path(path))
        except ValueError as error:
            raise ValueError(f"{word}: {error}") from None
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


def _holdback(value: object) -> int:
    """None at all needs no unit."""
    held = 0 if value == 0 and type(value) is int else units.share(value)
    if held == WHOLE:
        raise ValueError(f'"{value}" would leave native nobody; leave the shares at 0% instead')
    return held


def _alpha(value: object) -> float:
    chance = units.rate(value)
    if not 0 < chance < 1:
        raise ValueError(f'"{value}" must be more than 0% and less than 100%: a rule that never errs never acts')
    return chance


def _judge(text: str) -> Judge:
    try:
        return Judge(text)
    except ValueError:
        raise ValueError(f'"{text}" is no judge; write {" or ".join(each.value for each in Judge)}') from None


def _window(value: object) -> float:
    seconds = units.duration(value)
    if seconds < 1:
        raise ValueError(f'"{value}" is too short; requests are counted by the second')
    return seconds


Duration = Annotated[float, BeforeValidator(units.duration)]
Window = Annotated[float, BeforeValidator(_window)]
Size = Annotated[int, BeforeValidator(units.size)]
Share = Annotated[int, BeforeValidator(units.share)]
Holdback = Annotated[int, BeforeValidator(_holdback)]
Rate = Annotated[float, BeforeValidator(units.rate)]
Alpha = Annotated[float, BeforeValidator(_alpha)]
JudgeName = Annotated[Judge, BeforeValidator(lambda value: value if isinstance(value, Judge) else _text(_judge)(value))]
Count = Annotated[StrictInt, Field(ge=1)]
Places = Annotated[StrictInt, Field(ge=0)]
Listen = Annotated[InstanceOf[Address], BeforeValidator(_listen)]
Urls = Annotated[tuple[Annotated[InstanceOf[Address], BeforeValidator(_url)], ...], BeforeValidator(_one_or_several)]
Name = Annotated[str, _like(_NAME, "must be letters, digits, _ . and -, beginning with a letter or digit, at most 100")]
RouteName = Annotated[Name, AfterValidator(_route_name)]
ImportString = Annotated[str, _like(_IMPORT, "must be a module and a name in it, such as handlers.app:app")]
# The value is not repeated: it may hold a password.
RedisUrl = Annotated[str, BeforeValidator(_text(_redis))]
RedisKey = Annotated[str, _like(_KEY, "must be a key of Redis: visible ASCII characters, at most 200")]
ServerUrl = Annotated[str, _like(_SERVER, "must be a URL such as https://unleash.internal, without a user or a query")]
# Neither are tokens, each of which is a password.
ClientToken = Annotated[str, _like(_CLIENT_TOKEN, "must be a client's token, such as default:production.6f1c…")]
Token = Annotated[str, _like(_TOKEN, "must be a token: visible ASCII characters")]
Cidr = Annotated[InstanceOf[IPv4Network] | InstanceOf[IPv6Network], BeforeValidator(_text(_network))]
SubjectSource = Annotated[InstanceOf[Source], BeforeValidator(_text(Source.parse))]
Match = Annotated[str, BeforeValidator(_text(_match))]
Rule = Annotated[str, BeforeValidator(_text(_rule))]
TokensFile = Annotated[Path, _file(read_tokens)]
SecretFile = Annotated[Path, _file(read_secret)]
StateDirectory = Annotated[Path, BeforeValidator(_text(_state_directory))]
CertificatesFile = Annotated[Path, _file(certificates)]
ReadableFile = Annotated[Path, _file(_content)]
WrittenFile = Annotated[Path, _file(_folder)]
