"""`Authorization` headers of every kind, made for one secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
from typing import Any

ACME, GLOBEX = 1, 2
ADMIN, AGENT = 1, 2  # admin@acme.example, agent1@acme.example
THEIR_ADMIN, STRANGER = 15, 16  # admin@globex.example, agent1@globex.example
GONE = 999_999_999
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def claims(now: int, **changes: Any) -> dict[str, Any]:
    """A good token's claims, with some changed; a claim set to None is left out."""
    whole = {"sub": str(AGENT), "account_id": ACME, "iat": now, "exp": now + 3600, "jti": "parity"} | changes
    return {name: value for name, value in whole.items() if value is not None}


def part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def sign(payload: Any, secret: str, algorithm: str = "HS256") -> str:
    """A token by the book, without the libraries that are being compared."""
    digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512, "none": None}[algorithm]
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = f"{part(json.dumps({'alg': algorithm}).encode())}.{part(content)}"
    signature = hmac.digest(secret.encode(), signed.encode(), digest) if digest else b""
    return f"{signed}.{part(signature)}"


# What must be let in, by how its token or header differs from an ordinary one's.
GOOD: dict[str, str | dict[str, Any]] = {
    "the scheme in lower case": "bearer {agent}",
    "two spaces after the scheme": "Bearer  {agent}",
    "white space after the token": "Bearer {agent}  ",
    "an audience": {"aud": "elsewhere"},
    "issued ahead of our clock": {"iat": 2**40},
    "in force since long ago": {"nbf": 1},
    "an unknown claim": {"role": "admin"},
}
# What must be refused.
BAD: dict[str, str | dict[str, Any]] = {
    "expired": {"iat": 1, "exp": 2},
    "not yet in force": {"nbf": 2**40},
    "no sub": {"sub": None},
    "no account": {"account_id": None},
    "no iat": {"iat": None},
    "no exp": {"exp": None},
    "no jti": {"jti": None},
    "sub as an integer": {"sub": AGENT},
    "sub of words": {"sub": "agent"},
    "sub zero": {"sub": "0"},
    "sub with a leading zero": {"sub": "02"},
    "sub with a sign": {"sub": "+2"},
    "sub with a line end": {"sub": "2\n"},
    "sub beyond 64 bits": {"sub": str(2**63)},
    "account as a string": {"account_id": "1"},
    "account as a boolean": {"account_id": True},
    "account as a fraction": {"account_id": 1.5},
    "exp as a string": {"exp": str(2**40)},
    "exp as a fraction": {"exp": 2**40 + 0.5},
    "iat as a string": {"iat": "1"},
    "jti as an integer": {"jti": 1},
    "jti empty": {"jti": ""},
    "jti blank": {"jti": " \u2003"},
    "account zero": {"account_id": 0},
    "account beyond 64 bits": {"account_id": 2**63},
    "account negative": {"account_id": -1},
    "another secret": "Bearer {forged}",
    "another algorithm": "Bearer {hs512}",
    "alg none": "Bearer {unsigned}",
    "a cut signature": "Bearer {cut}",
    "a signature spelt in another way": "Bearer {respelt}",
    "a signature and one more character": "Bearer {agent}A",
    "a signature and two more characters": "Bearer {agent}AA",
    "exp beyond all numbers": "Bearer {endless}",
    "nbf beyond all numbers": "Bearer {never}",
    "a changed payload": "Bearer {changed}",
    "no scheme": "{agent}",
    "another scheme": "Basic {agent}",
    "scheme Token": "Token {agent}",
    "a word too many": "Bearer {agent} {agent}",
    "the scheme alone": "Bearer",
    "no token": "Bearer a.b.c",
    "an empty header": "",
    "words": "let me in",
    "a payload that is no object": "Bearer {list}",
}


def authorizations(secret: str, now: int) -> dict[str, str]:
    """The value of the header for every name in GOOD and BAD, and for the callers of the tables."""

    def bearer(**changes: Any) -> str:
        return f"Bearer {sign(claims(now, **changes), secret)}"

    agent = sign(claims(now), secret)
    head, _, signature = agent.split(".")
    other = sign(claims(now, sub="3"), secret).split(".")[1]
    parts = {
        "agent": agent,
        "forged": sign(claims(now), "another secret, as long as the right one"),
        "hs512": sign(claims(now), secret, "HS512"),
        "unsigned": sign(claims(now), secret, "none"),
        "cut": agent[:-2],
        "respelt": agent[:-1] + ALPHABET[ALPHABET.index(agent[-1]) ^ 1],  # two bits of the last character say nothing
        "endless": sign(json.dumps(claims(now, exp=0)).replace('"exp": 0', '"exp": 1e400').encode(), secret),
        "never": sign(json.dumps(claims(now, nbf=0)).replace('"nbf": 0', '"nbf": 1e400').encode(), secret),
        "changed": f"{head}.{other}.{signature}",
        "list": sign(["no", "object"], secret),
    }
    made = {
        name: kind.format(**parts) if isinstance(kind, str) else bearer(**kind) for name, kind in (GOOD | BAD).items()
    }
    return made | {
        "agent": f"Bearer {agent}",
        "admin": bearer(sub=str(ADMIN)),
        "their admin": bearer(sub=str(THEIR_ADMIN), account_id=GLOBEX),
        "stranger": bearer(sub=str(STRANGER), account_id=GLOBEX),
        "gone": bearer(sub=str(GONE)),
        "user of another account": bearer(sub=str(STRANGER)),
        "no such account": bearer(account_id=GONE),
    }
