"""Who may do what at the operators' port: tokens, each with a role and the name of whoever holds it. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Role(enum.Enum):
    VIEWER = "viewer"  # may look
    OPERATOR = "operator"  # may look, and move traffic


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever gave an order, as the audit names them."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        return self.role is Role.OPERATOR or self.role is role


def holders(text: str) -> Mapping[str, Holder]:
    """The holder of each token: lines `TOKEN [viewer|operator] [NAME]`, blank ones and those that begin with # aside.

    A token alone is an operator's; without a name its holder goes by role and line. A ValueError names the line, and
    never what stands in it.
    """
    found: dict[str, Holder] = {}
    for number, line in enumerate(text.splitlines(), 1):
        token, *rest = line.split(maxsplit=2) or [""]
        if not token or token.startswith("#"):
            continue
        try:
            role = Role(rest[0]) if rest else Role.OPERATOR
        except ValueError:
            raise ValueError(f"line {number}: behind a token stands viewer or operator, then a name") from None
        if token in found:
            raise ValueError(f"line {number}: the token of a line above, again")
        found[token] = Holder(rest[1].strip() if len(rest) > 1 else f"{role.value} {number}", role)
    if not found:
        raise ValueError("no token; write one a line")
    return found
