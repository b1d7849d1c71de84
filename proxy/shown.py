"""A field whose values people may see in mismatches, as a route's configuration lists it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from shadow.excerpt import Shown


def _field(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'must be text, not "{value}"')
    Shown.parse([value])
    return value


ShownField = Annotated[str, BeforeValidator(_field)]
