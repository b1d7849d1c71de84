"""Numbers of a body, which stay as they were written until somebody asks what they are worth. No I/O.

They are bytes: nothing else in JSON is, so a number equals neither true nor a text, 1 is not 1.0, no digit is lost, and
none of them costs anything before two of them differ.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import Any, Final

DIGITS: Final = 4_300  # of an integer that Python reads; longer ones are shown as text
_ZEROS: Final = frozenset({b"0", b"-0"})


def is_integer(number: bytes) -> bool:
    return number.lstrip(b"-").isdigit()


def same_type(a: Any, b: Any) -> bool:
    """Types as JSON's readers have them: an integer is none of the decimals."""
    return type(a) is type(b) and (type(a) is not bytes or is_integer(a) == is_integer(b))


def worth_the_same(a: bytes, b: bytes) -> bool:
    """Of two numbers of one type: 0.10 is 0.1, and -0 is 0."""
    if a == b:
        return True
    if is_integer(a):
        return {a, b} == _ZEROS
    return (value := decimal(a)) is not None and value == decimal(b)


def canonical(number: bytes) -> Hashable:
    """Equal for numbers of one type and worth, and for nothing else."""
    if is_integer(number):
        return True, b"0" if number == b"-0" else number
    value = decimal(number)
    return False, number if value is None else value


def decimal(number: bytes) -> Decimal | None:
    """What a number is worth; None if its exponent is beyond any computer."""
    try:
        return Decimal(number.decode())
    except ArithmeticError:
        return None


def plain(number: bytes) -> int | Decimal | str:
    """The number for those who read it."""
    if is_integer(number) and len(number) <= DIGITS:
        return int(number)
    value = decimal(number)
    return number.decode() if value is None or is_integer(number) else value
