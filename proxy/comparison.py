"""How answers are compared: the section `shadow`, and the rules of a route's section `compare`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StrictBool, model_validator

from proxy import units
from proxy.section import Section
from proxy.subject import ADDRESS, Source
from proxy.values import Count, Duration, Rate, Size, SubjectSource
from proxy.values import Rule as Ignored
from shadow.experiment import Limits
from shadow.parity import PLAIN
from shadow.paths import parse
from shadow.rules import COMPARED, Alias, Rule, Timestamp, Tolerance, Unordered

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a name of a header, and of a cookie (RFC 9110, 5.6.2)
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def _name(value: object) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError(f'"{value}" is no name of a header or cookie')
    return value


def _place(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'must be text, not "{value}"')
    parse(value)
    return value


def _places(value: object) -> object:
    """A single one is parsed here, so that what is wrong with it stands at the key and not at the first of a list."""
    if value == []:
        raise ValueError("must name at least one")
    return value if isinstance(value, list) else (_place(value),)


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
        raise ValueError(f'"{value}" is not a number, such as 0.01')
    return Decimal(str(value))


def _fraction(value: object) -> Decimal:
    return Decimal(units.share(value)) / 10_000


def _said_of_users(source: Source) -> Source:
    if source == ADDRESS:
        raise ValueError("an address says nothing of a role; write jwt:CLAIM, header:NAME or cookie:NAME")
    return source


def _role_word(value: object) -> str:
    if not isinstance(value, str) or not PLAIN.fullmatch(value):
        raise ValueError(f'"{value}" is no role: a word of at most 32 letters, digits and _.:-')
    return value


Role = Annotated[SubjectSource, AfterValidator(_said_of_users)]
RoleWord = Annotated[str, BeforeValidator(_role_word)]
Place = Annotated[str, BeforeValidator(_place)]
Places = Annotated[tuple[Place, ...], BeforeValidator(_places)]
Name = Annotated[str, BeforeValidator(_name)]


class Shadow(Section):
    """What comparisons may cost at most."""

    concurrency: Count = 16
    queue: Count = 256
    body: Size = 256 * 1024
    deadline: Duration = 5.0
    noise: Rate = 0.1
    yields: StrictBool = True
    role: Role | None = None
    roles: tuple[RoleWord, ...] = ()
    max_mismatches: Rate = 0.05

    @property
    def limits(self) -> Limits:
        return Limits(self.concurrency, self.queue, self.body, self.deadline, noise=self.noise)


class Close(Section):
    """Numbers that may differ a little."""

    at: Places
    absolute: Annotated[Decimal, BeforeValidator(_number)] | None = None
    relative: Annotated[Decimal, BeforeValidator(_fraction)] | None = None

    @model_validator(mode="after")
    def _says_how_close(self) -> Close:
        if self.absolute is None and self.relative is None:
            raise ValueError(
                "must say how far the numbers may lie apart: absolute, such as 0.01, or relative, such as 1%"
            )
        return self


class Moments(Section):
    """Times that may differ a little."""

    at: Places
    within: Duration


class AnyOrder(Section):
    """Lists whose elements may come in any order."""

    at: Places
    by: Place | None = None


class Ids(Section):
    """Places whose ids may be others, as long as they correspond one to one."""

    at: Places


class Compare(Section):
    ignore: tuple[Ignored, ...] = ()
    headers: tuple[Name, ...] = tuple(sorted(name.decode() for name in COMPARED))
    cookies: tuple[Name, ...] = ()
    tolerance: tuple[Close, ...] = ()
    timestamps: tuple[Moments, ...] = ()
    unordered: tuple[AnyOrder, ...] = ()
    alias: tuple[Ids, ...] = ()

    def written(self, ignore: tuple[str, ...]) -> dict[str, Any]:
        """What `Rules.parse` takes, with what the route itself ignores."""
        return {
            "ignore": (*ignore, *self.ignore),
            "headers": self.headers,
            "cookies": self.cookies,
            "rules": tuple(self._rules()),
        }

    def _rules(self) -> Iterator[tuple[str, Rule]]:
        for close in self.tolerance:
            bounds = close.absolute or Decimal(0), close.relative or Decimal(0)
            yield from ((at, Tolerance(f"tolerance {at}", *bounds)) for at in close.at)
        for moments in self.timestamps:
            yield from ((at, Timestamp(f"timestamps {at}", moments.within)) for at in moments.at)
        for lists in self.unordered:
            by = parse(lists.by) if lists.by else ()
            yield from ((at, Unordered(f"unordered {at}", by)) for at in lists.at)
        for group, ids in enumerate(self.alias):
            yield from ((at, Alias(f"alias {at}", group)) for at in ids.at)
