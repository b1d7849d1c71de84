from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.flag import Side
from proxy.forcing import MOST, Force, forces, parted
from proxy.signature import Secret

SECRET = Secret(b"0123456789abcdef0123456789abcdef")
NOW = 1_700_000_000.5
FORCE = Force(Side.NATIVE, frozenset({"users.show", "messages.create"}), 1_700_003_600, "anna")
TOKEN = FORCE.token(SECRET).encode()


def believed(*tokens: bytes, secret: Secret = SECRET, now: float = NOW) -> tuple[Force, ...]:
    return forces(tokens, secret, now)


def test_a_token_is_believed_by_whoever_shares_the_secret() -> None:
    assert believed(TOKEN) == (FORCE,)
    assert believed(TOKEN, secret=Secret(b"another secret of another fleet...")) == ()


def test_the_token_is_the_documented_one() -> None:
    said = "1:native:messages.create+users.show:1700003600:anna"
    digest = hmac.new(SECRET.value, said.encode(), hashlib.sha256).hexdigest()
    assert f"{said}:{digest}" == TOKEN.decode()


@pytest.mark.parametrize(("now", "count"), [(FORCE.until - 0.001, 1), (FORCE.until, 0), (FORCE.until + 1e9, 0)])
def test_a_token_expires(now: float, count: int) -> None:
    assert len(believed(TOKEN, now=now)) == count


def test_a_token_is_about_the_routes_that_it_names_or_about_all() -> None:
    assert [FORCE.concerns(route) for route in ("users.show", "messages.create", "users")] == [True, True, False]
    (every,) = believed(replace(FORCE, routes=frozenset()).token(SECRET).encode())
    assert every.concerns("users")


@pytest.mark.parametrize(
    "changed",
    [
        b"",
        TOKEN[:-1],
        TOKEN + b" ",
        TOKEN[:-64] + b"0" * 64,
        TOKEN.replace(b"native", b"legacy"),
        TOKEN.replace(b"native", b"nobody"),
        TOKEN.replace(b"messages.create+", b""),
        TOKEN.replace(b"messages.create+users.show", b"*"),
        TOKEN.replace(b"1700003600", b"1800003600"),
        TOKEN.replace(b"1700003600", b"01700003600"),
        TOKEN.replace(b"anna", b"bert"),
        TOKEN.replace(b"anna", b""),
        TOKEN.replace(b"1:", b"2:"),
        TOKEN.upper(),
        b"native",
    ],
)
def test_nothing_of_a_token_can_be_changed(changed: bytes) -> None:
    assert believed(changed) == ()


def test_a_token_beside_one_that_is_worth_nothing_counts() -> None:
    expired = replace(FORCE, until=1).token(SECRET).encode()
    assert believed(expired, b"?", TOKEN) == (FORCE,)


def test_only_a_few_tokens_of_one_request_are_looked_at() -> None:
    assert believed(*[b"?"] * (MOST - 1), TOKEN) == (FORCE,)
    assert believed(*[b"?"] * MOST, TOKEN) == ()


def test_a_token_is_no_signature_of_a_proxy_and_the_other_way_round() -> None:
    """Both are keyed by the same secret: what one of them is taken over must never be what the other is."""
    (_, signature), *_ = SECRET.signed([], method=b"GET", target=b"/", now=NOW)
    said, _, digest = TOKEN.rpartition(b":")
    assert b"\n" not in said
    assert believed(said + b":" + signature.rpartition(b"=")[2]) == ()
    forged = [(b"x-strangler-signature", b"t=1700000000,v1=" + digest)]
    assert SECRET.words(forged, method=b"GET", target=b"/", now=NOW) == {}


NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
FORCES = st.builds(
    Force,
    st.sampled_from(Side),
    st.frozensets(NAMES, max_size=4),
    st.integers(1_700_000_001, 10**12 - 1),
    st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}\Z"),
)


@given(FORCES)
def test_whatever_is_made_is_understood_and_passes_as_a_cookie(force: Force) -> None:
    token = force.token(SECRET)
    assert believed(token.encode()) == (force,)
    assert not set(token) & set(' ",;\\')  # RFC 6265 §4.1.1


@given(st.binary() | st.binary().map(lambda tail: TOKEN[:-64] + tail))
def test_nothing_that_comes_makes_it_raise_or_believe(token: bytes) -> None:
    assert token == TOKEN or believed(token) == ()


@pytest.mark.parametrize(
    ("cookies", "left", "tokens"),
    [
        (b"X-Strangler-Force=t", b"", (b"t",)),
        (b"a=1; X-Strangler-Force=t", b"a=1", (b"t",)),
        (b"X-Strangler-Force=t; a=1", b"a=1", (b"t",)),
        (b"a=1; X-Strangler-Force=t; b=2", b"a=1; b=2", (b"t",)),
        (b"a=1;X-Strangler-Force=t;b=2", b"a=1;b=2", (b"t",)),
        (b"X-Strangler-Force=t; X-Strangler-Force=u", b"", (b"t", b"u")),
        (b"X-Strangler-Force=; a=1", b"a=1", (b"",)),
        (b"a=X-Strangler-Force=t", b"a=X-Strangler-Force=t", ()),
        (b" a=1 ; x-strangler-force=t; ", b" a=1 ; x-strangler-force=t; ", ()),
    ],
)
def test_only_our_own_cookie_is_taken_out(cookies: bytes, left: bytes, tokens: tuple[bytes, ...]) -> None:
    assert parted(cookies) == (left, tokens)
