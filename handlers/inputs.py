"""Typed requests: parameters and JSON bodies read into models, with every fault listed."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, LiteralString, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError, PydanticSerializationError, to_json
from starlette.requests import Request

from .errors import Invalid, MalformedJson, UnsupportedMediaType

DEEPEST = 100  # levels of nesting that Ruby's parser follows
END_OF_MEDIA_TYPE = re.compile(r"[;,]")
LIMITS = {str(limit): limit for limit in range(1, 101)}


class Input(BaseModel):
    """A request's fields, faults in the order in which they are declared. Unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def names(cls) -> list[str]:
        """The fields as clients spell them."""
        return [field.alias or name for name, field in cls.model_fields.items()]


M = TypeVar("M", bound=Input)


def wrong(message: LiteralString) -> PydanticCustomError:
    return PydanticCustomError("wrong", message)


def check_limit(value: object) -> int:
    if isinstance(value, str) and value in LIMITS:
        return LIMITS[value]
    raise wrong("must be an integer between 1 and 100")


Limit = Annotated[int, PlainValidator(check_limit)]


def query(request: Request, model: type[M]) -> M:
    """The parameters. One without a value, or with an empty one, counts as absent."""
    return checked(model, {name: value for name, value in request.state.parameters.items() if value not in ("", None)})


async def body(request: Request, model: type[M]) -> M:
    """The fields of a JSON body. One that is missing is null; no body at all is an empty object."""
    raw = await request.body()
    media_type = END_OF_MEDIA_TYPE.split(request.headers.get("content-type", ""), maxsplit=1)[0]
    if raw and media_type.rstrip().lower() != "application/json":
        raise UnsupportedMediaType
    values = parsed(raw) if raw else {}
    if not isinstance(values, dict):
        raise Invalid([("", "must be an object")])
    return checked(model, {name: values.get(name) for name in model.names()})


def checked(model: type[M], values: dict[str, Any]) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise Invalid([(str(fault["loc"][0]), fault["msg"]) for fault in found]) from None


def parsed(raw: bytes) -> Any:
    """JSON as RFC 8259 has it, in UTF-8, of whole characters, nested no deeper than Ruby's parser follows."""
    try:
        text = raw.decode()
        value = DECODER.decode(text)
        if "\\u" in text:
            to_json(value)  # refuses halves of surrogate pairs
    except (ValueError, RecursionError, PydanticSerializationError):
        raise MalformedJson from None
    if text.count("[") + text.count("{") > DEEPEST and depth(value) > DEEPEST:
        raise MalformedJson
    return value


def depth(value: Any) -> int:
    levels, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        levels += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return levels


def whole(digits: str) -> int:
    """int() refuses more than 4300 digits. A number that long is beyond every range here, whatever it is."""
    return int(digits[:100])


def refuse(constant: str) -> None:
    raise ValueError(constant)


DECODER = json.JSONDecoder(parse_int=whole, parse_constant=refuse)
