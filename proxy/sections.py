"""The sections of a configuration: their keys and defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

from pydantic import BeforeValidator, StrictBool, ValidationInfo, field_validator

from flags.rollback import Judge
from proxy.address import Address
from proxy.comparison import Compare, Shadow
from proxy.faults import ConfigError
from proxy.limits import Limits
from proxy.routes import Route
from proxy.section import Section
from proxy.shown import ShownField
from proxy.subject import Source
from proxy.tls import server_context
from proxy.values import (
    Alpha,
    CertificatesFile,
    Cidr,
    ClientToken,
    Count,
    Duration,
    Holdback,
    ImportString,
    JudgeName,
    Listen,
    Match,
    Name,
    Places,
    Rate,
    ReadableFile,
    RedisKey,
    RedisUrl,
    RouteName,
    Rule,
    SecretFile,
    ServerUrl,
    Share,
    Size,
    StateDirectory,
    SubjectSource,
    Token,
    TokensFile,
    Urls,
    Window,
    WrittenFile,
    not_empty,
)
from shadow.rules import Rules


class Admin(Section):
    """The operators' port."""

    listen: Listen = Address("127.0.0.1", 9901)
    tokens: TokensFile | None = None
    state: StateDirectory | None = None


class Tls(Section):
    """TLS for users who come without a balancer."""

    certificate: CertificatesFile
    key: ReadableFile

    @field_validator("key")
    @classmethod
    def _belongs_to_the_certificate(cls, key: Path, info: ValidationInfo) -> Path:
        if (certificate := info.data.get("certificate")) is not None:
            try:
                server_context(certificate, key)
            except ConfigError as error:
                raise ValueError(error.faults[0].message) from None
        return key


class Side(Section):
    """How either side is reached, and how long it may take."""

    ca: CertificatesFile | None = None
    connect: Duration = 1.0
    between_bytes: Duration = 60.0
    total: Duration | None = None
    connections: Count = 256
    queue: Places = 256
    wait: Duration = 1.0

    def _limits(self, first_byte: float) -> Limits:
        return Limits(first_byte, self.between_bytes, self.total, self.connections, self.queue, self.wait)


class Legacy(Side):
    """The application being strangled."""

    url: Urls
    first_byte: Duration = 30.0

    @property
    def limits(self) -> Limits:
        return self._limits(self.first_byte)


class Native(Side):
    """The application that takes over: in this process by its import string, elsewhere by its URL."""

    app: ImportString | None = None
    url: Urls | None = None
    budget: Duration = 5.0
    keep: Size = 256 * 1024
    fallbacks: Share = 5_000

    @property
    def limits(self) -> Limits:
        return self._limits(self.budget)


class Rollback(Section):
    window: Window = 30.0
    min_requests: Count = 50
    max_error_rate: Rate = 0.02
    max_excess: Rate = 0.02
    alpha: Alpha = 0.01
    judge: JudgeName = Judge.EVIDENCE
    slow_over: Duration = 0.5


class Unleash(Section):
    """Where shares are taken from, with a url."""

    url: ServerUrl | None = None
    token: ClientToken | None = None
    admin_token: Token | None = None
    backup: WrittenFile = Path("unleash.json")


class Webhook(Section):
    """Who is told of trips and resets."""

    url: ServerUrl
    secret: SecretFile


class Trips(Section):
    redis: RedisUrl | None = None
    key: RedisKey = "trips"


class Timeouts(Section):
    """A route's own, where it has them."""

    first_byte: Duration | None = None
    between_bytes: Duration | None = None
    total: Duration | None = None


class RouteConfig(Section):
    name: RouteName
    match: Match
    share: Share = 0
    shadow: Share = 0
    shadow_legacy: StrictBool = True
    holdback: Holdback | None = None
    group: Name = "default"
    ignore: tuple[Rule, ...] = ()
    compare: Compare = Compare()
    show: tuple[ShownField, ...] = ()
    timeouts: Timeouts = Timeouts()
    judge: JudgeName | None = None
    slow_over: Duration | None = None

    @property
    def route(self) -> Route:
        return Route.parse(self.name, self.match, self.group)

    @property
    def rules(self) -> Rules:
        return Rules.parse(**self.compare.written(self.ignore))

    def limits(self, legacy: Limits) -> Limits:
        """Legacy's limits for this route."""
        return replace(legacy, **self.timeouts.model_dump(exclude_none=True))

    def native_limits(self, native: Limits) -> Limits:
        """Native's, whose answers begin within its budget on every route."""
        return replace(self.limits(native), first_byte=native.first_byte)


class Log(Section):
    access: StrictBool = True


class Config(Section):
    listen: Listen = Address("127.0.0.1", 8080)
    admin: Admin = Admin()
    tls: Tls | None = None
    proxy_protocol: StrictBool = False
    drain: Duration = 30.0
    watchdog: Duration = 2.0
    legacy: Legacy
    native: Native | None = None
    redis: RedisUrl | None = None
    unleash: Unleash = Unleash()
    subject: Annotated[tuple[SubjectSource, ...], BeforeValidator(not_empty)] = (
        Source("jwt", "sub"),
        Source("cookie", "_session_id"),
        Source("address"),
    )
    trusted_proxies: tuple[Cidr, ...] = ()
    secret: SecretFile | None = None
    shadow: Shadow = Shadow()
    rollback: Rollback = Rollback()
    holdback: Holdback = 200
    trips: Trips = Trips()
    webhooks: tuple[Webhook, ...] = ()
    log: Log = Log()
    routes: tuple[RouteConfig, ...] = ()

    @property
    def holdbacks(self) -> Mapping[str, int]:
        """What of each route's subjects stays on legacy, whatever its share."""
        return {route.name: self.holdback if route.holdback is None else route.holdback for route in self.routes}


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
