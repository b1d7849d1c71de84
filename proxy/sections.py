"""The sections of a configuration: their keys, defaults, and what each value may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, StrictBool, StrictInt

from proxy import units
from proxy.address import Address
from proxy.exchange import UNMATCHED
from proxy.peers import Network
from proxy.routes import Route
from proxy.subject import Source
from shadow.compare import Rules

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_IMPORT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_REDIS = re.compile(
    r"(redis|rediss)://([^/@]*@)?([^/@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?(/[0-9]{1,5})?|unix://.+"
)


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


def _match(text: str) -> str:
    route = Route.parse("", text)
    return f"{route.method} {route.pattern}"


def _not_empty(value: object) -> object:
    """Asked before the elements are: pydantic would count those that are wrong as not there."""
    if value == []:
        raise ValueError("must name at least one; leave it out for the default")
    return value


def _rule(text: str) -> str:
    Rules.parse([text])
    return text


def read_tokens(path: Path) -> frozenset[str]:
    """The tokens in a file, one a line."""
    try:
        tokens = frozenset(path.read_text("utf-8").split())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    if not tokens:
        raise ValueError(f"{path} holds no token; write one a line")
    return tokens


def _tokens_file(text: str) -> Path:
    read_tokens(Path(text))
    return Path(text)


def _window(value: object) -> float:
    seconds = units.duration(value)
    if seconds < 1:
        raise ValueError(f'"{value}" is too short; requests are counted by the second')
    return seconds


Duration = Annotated[float, BeforeValidator(units.duration)]
Size = Annotated[int, BeforeValidator(units.size)]
Share = Annotated[int, BeforeValidator(units.share)]
Rate = Annotated[float, BeforeValidator(units.rate)]
Listen = Annotated[InstanceOf[Address], BeforeValidator(_listen)]
Url = Annotated[InstanceOf[Address], BeforeValidator(_text(Address.of_url))]
Name = Annotated[str, _like(_NAME, "must be letters, digits, _ . and -, beginning with a letter or digit, at most 100")]
ImportString = Annotated[str, _like(_IMPORT, "must be a module and a name in it, such as handlers.app:app")]
# The value is not repeated: it may hold a password.
RedisUrl = Annotated[str, _like(_REDIS, "must be a URL such as redis://127.0.0.1:6379/1"), AfterValidator(_redis_port)]
Cidr = Annotated[InstanceOf[IPv4Network] | InstanceOf[IPv6Network], BeforeValidator(_text(_network))]
SubjectSource = Annotated[InstanceOf[Source], BeforeValidator(_text(Source.parse))]
Count = Annotated[StrictInt, Field(ge=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Admin(Section):
    """The operators' port."""

    listen: Listen = Address("127.0.0.1", 9901)
    tokens: Annotated[Path, BeforeValidator(_text(_tokens_file))] | None = None


class Legacy(Section):
    """The application being strangled."""

    url: Url
    connect: Duration = 1.0
    first_byte: Duration = 30.0
    connections: Count = 256
    queue: Annotated[StrictInt, Field(ge=0)] = 256
    wait: Duration = 1.0


class Native(Section):
    """The application that takes over: in this process by its import string, elsewhere by its URL."""

    app: ImportString | None = None
    url: Url | None = None
    budget: Duration = 5.0
    connections: Count = 256


class Shadow(Section):
    concurrency: Count = 16
    queue: Count = 256
    body: Size = 256 * 1024
    deadline: Duration = 5.0


class Rollback(Section):
    window: Annotated[float, BeforeValidator(_window)] = 30.0
    min_requests: Count = 50
    max_error_rate: Rate = 0.05
    max_excess: Rate = 0.02


class RouteConfig(Section):
    name: Annotated[Name, AfterValidator(_route_name)]
    match: Annotated[str, BeforeValidator(_text(_match))]
    share: Share = 0
    shadow: Share = 0
    group: Name = "default"
    ignore: tuple[Annotated[str, BeforeValidator(_text(_rule))], ...] = ()

    @property
    def route(self) -> Route:
        return Route.parse(self.name, self.match, self.group)

    @property
    def rules(self) -> Rules:
        return Rules.parse(self.ignore)


class Log(Section):
    access: StrictBool = True


class Config(Section):
    listen: Listen = Address("127.0.0.1", 8080)
    admin: Admin = Admin()
    legacy: Legacy
    native: Native | None = None
    redis: RedisUrl | None = None
    subject: Annotated[tuple[SubjectSource, ...], BeforeValidator(_not_empty)] = (
        Source("jwt", "sub"),
        Source("cookie", "_session_id"),
        Source("address"),
    )
    trusted_proxies: tuple[Cidr, ...] = ()
    shadow: Shadow = Shadow()
    rollback: Rollback = Rollback()
    log: Log = Log()
    routes: tuple[RouteConfig, ...] = ()


def section_at(path: Sequence[str | int]) -> type[Section]:
    """The model of the section at a place."""
    section: type[Section] = Config
    for step in path:
        if isinstance(step, str):
            section = section_in(section.model_fields[step].annotation) or section
    return section


def section_in(annotation: object) -> type[Section] | None:
    """The section that a field holds, alone, optional or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((section for part in get_args(annotation) if (section := section_in(part))), None)
