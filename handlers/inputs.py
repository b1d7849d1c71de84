"""Typed requests: parameters and JSON bodies read into models, with every fault listed."""

from __future__ import annotations

import json
import re
from contextlib import aclosing
from itertools import accumulate
from typing import Annotated, Any, LiteralString, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from .errors import Invalid, MalformedJson, PayloadTooLarge, UnsupportedMediaType
from .headers import header
from .text import blank

LONGEST_BODY = 2**20  # bytes; reading more would keep every other request waiting
DEEPEST = 100  # levels of nesting that Ruby's parser follows
# One escape of the RFC, or the two that make a pair of surrogates.
ESCAPE = r'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})'
STRING = re.compile(rf'"[^"\\]*+(?:{ESCAPE}[^"\\]*+)*+"')
STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
NO_BRACKETS = re.compile(r"[^\[\]{}]+")
END_OF_MEDIA_TYPE = re.compile(rb"[;,]")
LONGEST_NAME = 100
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


def check_text(value: object, longest: int) -> str:
    """Text that must be given and be more than white space."""
    if value is None:
        raise wrong("can't be blank")
    if not isinstance(value, str):
        raise wrong("must be a string")
    if blank(value):
        raise wrong("can't be blank")
    if "\0" in value:  # PostgreSQL cannot store it
        raise wrong("is invalid")
    if len(value) > longest:
        raise PydanticCustomError("wrong", "is too long (maximum is {longest} characters)", {"longest": longest})
    return value


def check_name(value: object) -> str:
    return check_text(value, LONGEST_NAME)


Name = Annotated[str | None, PlainValidator(check_name)]  # of a change, which may leave it out but not void it


def check_choice(value: object, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise wrong("is not included in the list")
    return str(value)


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
    values = await fields(request)
    return checked(model, {name: values.get(name) for name in model.names()})


async def changes(request: Request, model: type[M]) -> M:
    """The fields of a JSON body that are to change: those that it has (`model_fields_set`), be it as null."""
    values = await fields(request)
    return checked(model, {name: values[name] for name in model.names() if name in values})


async def fields(request: Request) -> dict[str, Any]:
    raw = await read(request)
    values = parsed(raw) if raw else {}
    if not isinstance(values, dict):
        raise Invalid([("", "must be an object")])
    return values


async def read(request: Request, *, any_type: bool = False) -> bytes:
    """The body. One of another media type, or too long, is read no further than it takes to see that."""
    raw = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            if chunk and not any_type and not is_json(header(request.scope, b"content-type") or b""):
                raise UnsupportedMediaType
            raw += chunk
            if len(raw) > LONGEST_BODY:
                raise PayloadTooLarge
    return bytes(raw)


def is_json(content_type: bytes) -> bool:
    media_type = END_OF_MEDIA_TYPE.split(content_type, maxsplit=1)[0]
    return media_type.rstrip(b" \t\n\v\f\r\0").lower() == b"application/json"  # what Ruby strips


def checked(model: type[M], values: dict[str, Any]) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise Invalid([(str(fault["loc"][0]), fault["msg"]) for fault in found]) from None


def parsed(raw: bytes) -> Any:
    """JSON as RFC 8259 has it, in UTF-8, of whole characters, nested no deeper than Ruby's parser follows.

    Both of the last are seen in the text: of repeated keys the value has only the last one's.
    """
    try:
        text = raw.decode()
        check_strings_and_depth(text)
        return DECODER.decode(text)
    except ValueError:
        raise MalformedJson from None


def check_strings_and_depth(text: str) -> None:
    if "\\u" not in text and text.count("[") + text.count("{") <= DEEPEST:
        return
    outside = STRING.sub("", text)
    if '"' in outside or "\\" in outside:
        raise ValueError("half of a surrogate pair, or no string")
    brackets = NO_BRACKETS.sub("", outside)
    if max(accumulate(map(STEPS.__getitem__, brackets)), default=0) > DEEPEST:
        raise ValueError("too deep")


def whole(digits: str) -> int:
    """int() refuses more than 4300 digits. A number that long is beyond every range here, whatever it is."""
    return int(digits[:100])


def refuse(constant: str) -> None:
    raise ValueError(constant)


DECODER = json.JSONDecoder(parse_int=whole, parse_constant=refuse)
