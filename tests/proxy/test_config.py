from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.address import Address
from proxy.config import Config, ConfigError, Fault, load, load_admin
from proxy.limits import Limits
from proxy.routes import Route
from proxy.sections import Section, section_in
from proxy.subject import Source
from proxy.values import read_secret
from shadow.rules import Alias, Ignore, Timestamp, Tolerance, Unordered
from tests.proxy.certificates import Pair, self_signed

ROOT = Path(__file__).parents[2]
MINIMAL = "legacy: {url: http://127.0.0.1:3000}\n"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return self_signed(tmp_path_factory.mktemp("certificates"), "proxy")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def loaded(file: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    file.write_text(text, "utf-8")
    return load(file, environ or {})


def faults(file: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[Fault]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as refused:
        load(file, environ or {})
    return list(refused.value.faults)


def places(file: Path, text: str) -> list[str]:
    return [fault.place for fault in faults(file, text)]


def test_only_legacy_must_be_named(file: Path) -> None:
    config = loaded(file, MINIMAL)
    assert config.legacy.url == (Address("127.0.0.1", 3000),)
    assert config.listen == Address("127.0.0.1", 8080)
    assert config.native is None
    assert config.redis is None
    assert config.routes == ()


def test_values_arrive_in_the_units_of_the_program(file: Path) -> None:
    config = loaded(
        file,
        """
listen: "[::1]:8080"
legacy: {url: http://rails:3000, connect: 500ms, queue: 0}
native: {app: handlers.app:app, url: http://native:3100, budget: 2s, keep: 64KiB, fallbacks: 12.5%}
subject: [header:X-User, address]
trusted_proxies: [10.0.0.0/8, "2001:db8::/32", 192.0.2.7]
shadow: {body: 1MiB, role: "jwt:role", roles: [admin, agent]}
rollback: {max_error_rate: 2.5%}
routes:
  - {name: a, match: "GET   /a/{id}", share: 5%, shadow: 0.05%, group: g, ignore: [data.updatedAt, "data[*].id"],
     show: [data.id]}
""",
    )
    assert config.listen == Address("::1", 8080)
    assert (config.legacy.connect, config.legacy.queue) == (0.5, 0)
    assert config.native is not None
    assert (config.native.app, config.native.url, config.native.budget) == (
        "handlers.app:app",
        (Address("native", 3100),),
        2.0,
    )
    assert (config.native.keep, config.native.fallbacks) == (64 * 1024, 1_250)
    assert config.subject == (Source("header", "X-User"), Source("address"))
    assert config.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"), ip_network("192.0.2.7/32"))
    assert (config.shadow.body, str(config.shadow.role)) == (1024**2, "jwt:role")
    assert config.shadow.roles == ("admin", "agent")
    assert config.rollback.max_error_rate == 0.025
    (route,) = config.routes
    assert (route.match, route.share, route.shadow, route.group) == ("GET /a/{id}", 500, 5, "g")
    assert route.rules.body is not None
    assert route.show == ("data.id",)


def test_rules_of_a_comparison_arrive_where_they_hold(file: Path) -> None:
    config = loaded(
        file,
        MINIMAL
        + """
routes:
  - name: a
    match: GET /a
    ignore: [one, headers.etag]
    compare:
      ignore: [two]
      headers: [ETag, Vary]
      cookies: [theme]
      tolerance: [{at: score, absolute: 0.5}, {at: "rows[*].part", relative: 1%}]
      timestamps: [{at: [from, until], within: 90s}]
      unordered: [{at: rows, by: user.id}, {at: tags}]
      alias: [{at: ["rows[*].id", first]}, {at: other}]
""",
    )
    rules = config.routes[0].rules
    assert (rules.headers, rules.cookies) == ({b"etag", b"vary"}, {"theme"})
    assert rules.ignored_headers == {b"etag": "ignore headers.etag"}

    def at(*segments: str | int) -> tuple[object, ...]:
        place = rules.body
        for segment in segments:
            assert place is not None
            place = place.step(segment)
        return () if place is None else place.rules

    assert at("one") == (Ignore("ignore one"),)
    assert at("two") == (Ignore("ignore two"),)
    assert at("score") == (Tolerance("tolerance score", absolute=Decimal("0.5")),)
    assert at("rows", 3, "part") == (Tolerance("tolerance rows[*].part", relative=Decimal("0.01")),)
    assert at("until") == (Timestamp("timestamps until", 90.0),)
    assert at("rows") == (Unordered("unordered rows", ("user", "id")),)
    assert at("tags") == (Unordered("unordered tags"),)
    assert at("rows", 0, "id") == (Alias("alias rows[*].id", 0),)
    assert at("first") == (Alias("alias first", 0),)
    assert at("other") == (Alias("alias other", 1),)
    assert at("three") == ()


def test_a_side_may_have_several_addresses_of_several_kinds(file: Path) -> None:
    config = loaded(file, "legacy: {url: [http://one:3000, https://two, 'unix:///run/puma.sock']}\n")
    assert config.legacy.url == (
        Address("one", 3000),
        Address("two", 443, tls=True),
        Address("", 0, path="/run/puma.sock"),
    )


def test_how_long_a_side_may_take_becomes_its_limits(file: Path) -> None:
    config = loaded(
        file,
        """
legacy: {url: http://rails, first_byte: 3s, between_bytes: 4s, connections: 5, queue: 6, wait: 7s}
native: {url: http://native, budget: 2s, connect: 250ms, total: 9s}
""",
    )
    assert config.legacy.limits == Limits(3.0, 4.0, None, 5, 6, 7.0)
    assert config.native is not None
    assert config.native.limits == Limits(first_byte=2.0, total=9.0)
    assert (config.legacy.connect, config.native.connect) == (1.0, 0.25)


def test_a_route_s_own_limits_go_before_its_side_s_but_for_native_s_budget(file: Path) -> None:
    timeouts = "{first_byte: 2s, between_bytes: 5s, total: 60s}"
    config = loaded(
        file, MINIMAL + f"routes: [{{name: a, match: GET /a, timeouts: {timeouts}}}, {{name: b, match: GET /b}}]"
    )
    own, other = config.routes
    side = Limits(first_byte=30, between_bytes=31, total=None, connections=7)
    assert own.limits(side) == Limits(first_byte=2, between_bytes=5, total=60, connections=7)
    assert own.native_limits(side) == Limits(first_byte=30, between_bytes=5, total=60, connections=7)
    assert other.limits(side) == other.native_limits(side) == side


@pytest.mark.parametrize(
    ("text", "held"),
    [("", 200), ("holdback: 0", 0), ("holdback: 0%", 0), ("holdback: 0.5%", 50), ("holdback: 10%", 1_000)],
)
def test_what_is_held_back_of_every_route_may_be_another_part_of_some(file: Path, text: str, held: int) -> None:
    own = "{name: b, match: GET /b, holdback: 0}, {name: c, match: GET /c, holdback: 5%}"
    config = loaded(file, f"{MINIMAL}{text}\nroutes: [{{name: a, match: GET /a}}, {own}]\n")
    assert config.holdbacks == {"a": held, "b": 0, "c": 500}


def test_how_users_arrive_and_how_a_process_leaves(file: Path, pair: Pair, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s" * 32 + "\n")
    text = MINIMAL + f"tls: {{certificate: {pair.certificate}, key: {pair.key}}}\nsecret: {secret}\ndrain: 1m\n"
    config = loaded(file, text)
    assert config.tls is not None
    assert (config.tls.certificate, config.tls.key) == (pair.certificate, pair.key)
    assert (config.secret, config.drain, config.proxy_protocol) == (secret, 60.0, False)
    assert read_secret(secret) == b"s" * 32
    assert loaded(file, MINIMAL + "proxy_protocol: true\ntrusted_proxies: [10.0.0.0/8]\n").proxy_protocol
    assert loaded(file, MINIMAL).drain == 30.0


def test_a_route_says_what_it_matches_and_in_which_group(file: Path) -> None:
    (route,) = loaded(file, MINIMAL + 'routes: [{name: a, match: "GET /a/{id}", group: g}]').routes
    assert route.route == Route("a", "GET", "/a/{id}", "g")


def test_nothing_can_be_changed_afterwards(file: Path) -> None:
    config = loaded(file, MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        config.legacy.queue = 1


SAMPLE = """
listen: 127.0.0.1:8080
admin: {listen: 127.0.0.1:9901}
drain: 30s
proxy_protocol: false
legacy:
  {url: http://127.0.0.1:3000, connect: 1s, first_byte: 30s, between_bytes: 60s, connections: 256, queue: 256, wait: 1s}
native: {app: handlers.app:app, url: ["http://127.0.0.1:3100", "http://127.0.0.1:3101"], budget: 5s, connections: 256}
redis: redis://127.0.0.1:6379/1
subject: [jwt:sub, cookie:_session_id, address]
trusted_proxies: [127.0.0.0/8]
shadow: {concurrency: 16, queue: 256, body: 256KiB, deadline: 5s, roles: [admin]}
rollback: {window: 30s, min_requests: 50, max_error_rate: 5%, max_excess: 2%}
routes:
  - {name: a, match: GET /a, share: 5%, shadow: 10%, group: default, ignore: [data.id], show: [a.b],
     timeouts: {total: 60s}, compare: {
       ignore: [data.at], headers: [etag], cookies: [theme], tolerance: [{at: [a, b], absolute: 0.01, relative: 1%}],
       timestamps: [{at: c, within: 2s}], unordered: [{at: d, by: id}], alias: [{at: [e]}]}}
  - {name: b, match: "GET /b/{id}"}
"""

WRONG: list[tuple[str, object, str]] = [
    ("listen", 8080, "is not a host and a port"),
    ("listen", "127.0.0.1", "is not a host and a port"),
    ("admin", "x", "must be a group of keys"),
    ("admin.listen", "0.0.0.0:9901", "no tokens are set"),
    ("admin.listen", "0.0.0.0", "is not a host and a port"),
    ("admin.tokens", "/nowhere/tokens", "cannot be read: No such file"),
    ("admin.tokens", 5, "must be text"),
    ("legacy", [], "must be a group of keys"),
    ("legacy.url", "ftp://rails", "write http://, https:// or unix:///"),
    ("legacy.url", "unix://run/puma.sock", "three slashes"),
    ("legacy.url", 3000, "must be text"),
    ("legacy.url", {"a": 1}, "must be text"),
    ("legacy.url", [], "must name at least one"),
    ("legacy.ca", "/nowhere/ca.pem", "cannot be read: No such file"),
    ("legacy.ca", __file__, "holds no certificate in PEM"),
    ("legacy.between_bytes", "60", "has no unit"),
    ("legacy.total", "0s", "longer than 0"),
    ("legacy.connect", 1, '"1" has no unit; write 1s or 1000ms'),
    ("legacy.first_byte", "0s", "longer than 0"),
    ("legacy.connections", 0, "must be at least 1"),
    ("legacy.connections", "256", "must be a whole number"),
    ("legacy.connections", True, "must be a whole number"),
    ("legacy.queue", -1, "must be at least 0"),
    ("legacy.wait", "x", "not a number with a unit"),
    ("legacy.conect", "1s", 'unknown key; did you mean "connect"?'),
    ("native", {}, "must name an app or a url"),
    ("native.app", "handlers/app.py", "such as handlers.app:app"),
    ("native.url", "127.0.0.1:3100", "is no URL"),
    ("native.url[1]", "127.0.0.1:3101", "is no URL"),
    ("native.url[1]", None, "must be text"),
    ("native.first_byte", "1s", "unknown key"),
    ("native.budget", "5", "has no unit"),
    ("native.keep", 65536, "has no unit"),
    ("native.fallbacks", 0.5, "has no unit; write 0.5%"),
    ("drain", 30, "has no unit; write 30s"),
    ("proxy_protocol", "yes", "must be true or false"),
    ("tls", True, "must be a group of keys"),
    ("secret", "/nowhere/secret", "cannot be read: No such file"),
    ("secret", "\0", "is no path of a file"),
    ("redis", "127.0.0.1:6379", "redis://127.0.0.1:6379/1"),
    ("redis", "redis://127.0.0.1:6379/one", "redis://127.0.0.1:6379/1"),
    ("redis", "redis://127.0.0.1:99999/1", "has no valid port (99999)"),
    ("redis", "redis://127.0.0.1:0/1", "has no valid port (0)"),
    ("redis", "redis+sentinel://one:26379", "does not say which master the Sentinels watch"),
    ("redis", "rediss://one?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs: /nowhere/ca.pem cannot be read"),
    ("redis", "rediss+cluster://one?ssl_ca_certs=/dev/null", "ssl_ca_certs: /dev/null holds no certificate in PEM"),
    ("redis", "rediss://one?ssl_keyfile=/nowhere/own.key", "ssl_keyfile: /nowhere/own.key cannot be read"),
    ("redis", 6379, "must be text"),
    ("redis", "redis+cluster://one/3", "a Cluster has only one"),
    ("subject", "address", "must be a list"),
    ("subject", [], "must name at least one"),
    ("subject[1]", "user", "write jwt:CLAIM, header:NAME, cookie:NAME or address"),
    ("subject[1]", None, "must be text"),
    ("trusted_proxies[0]", "10.0.0.1/8", "write 10.0.0.0/8"),
    ("trusted_proxies[0]", "office", "is no network"),
    ("shadow.concurrency", 1.5, "must be a whole number"),
    ("shadow.body", "256KB", "use B, KiB, MiB or GiB"),
    ("shadow.role", "address", "says nothing of a role"),
    ("shadow.role", "role", "is no subject"),
    ("shadow.roles", "admin", "must be a list"),
    ("shadow.roles[0]", "two words", "is no role"),
    ("shadow.roles[0]", 1, "is no role"),
    ("rollback.window", "10ms", "counted by the second"),
    ("rollback.max_error_rate", 0.05, "has no unit; write 0.05%"),
    ("rollback.max_excess", "101%", "outside 0–100 %"),
    ("holdback", 2, '"2" has no unit; write 2%'),
    ("holdback", True, "is not a number with a unit"),
    ("holdback", "100%", "would leave native nobody"),
    ("routes[0].holdback", "101%", "outside 0–100 %"),
    ("routes", {"a": 1}, "must be a list"),
    ("routes[1]", "GET /b", "must be a group of keys"),
    ("routes[1].name", "b c", "must be letters, digits"),
    ("routes[1].name", "unmatched", "requests outside every route are counted"),
    ("routes[1].name", "a", "is already the name of routes[0]"),
    ("routes[1].name", None, "is required"),
    ("routes[1].match", "GET /a", "is already matched by routes[0]"),
    ("routes[1].match", "/b", "not a method and a path"),
    ("routes[0].share", 5, '"5" has no unit; write 5%'),
    ("routes[0].share", "0.005%", "finer than a basis point"),
    ("routes[0].shadow", "101%", "outside 0–100 %"),
    ("routes[0].group", "a:b", "must be letters, digits"),
    ("routes[0].ignore[0]", "data..x", "data..x"),
    ("routes[0].show[0]", "data..x", "data..x"),
    ("routes[0].show[0]", 5, "must be text"),
    ("routes[0].compare", ["data.id"], "must be a group of keys"),
    ("routes[0].compare.ignored", [], 'did you mean "ignore"?'),
    ("routes[0].compare.ignore[0]", "data[x]", "data[x]"),
    ("routes[0].compare.headers", "etag", "must be a list"),
    ("routes[0].compare.headers[0]", "x page", "is no name of a header or cookie"),
    ("routes[0].compare.cookies[0]", 5, "is no name of a header or cookie"),
    ("routes[0].compare.tolerance[0]", {"at": "a"}, "must say how far the numbers may lie apart"),
    ("routes[0].compare.tolerance[0]", "a", "must be a group of keys"),
    ("routes[0].compare.tolerance[0].at", None, "is required"),
    ("routes[0].compare.tolerance[0].at", [], "must name at least one"),
    ("routes[0].compare.tolerance[0].at", "a..b", "cannot be read at '..b'"),
    ("routes[0].compare.tolerance[0].at[1]", "headers.etag", "cannot be read"),
    ("routes[0].compare.tolerance[0].absolute", "-1", "is not a number, such as 0.01"),
    ("routes[0].compare.tolerance[0].absolute", True, "is not a number, such as 0.01"),
    ("routes[0].compare.tolerance[0].relative", 0.01, "has no unit; write 0.01%"),
    ("routes[0].compare.timestamps[0].within", 2, "has no unit; write 2s"),
    ("routes[0].compare.timestamps[0].whithin", "2s", 'did you mean "within"?'),
    ("routes[0].compare.unordered[0].by", "id[", "cannot be read at '['"),
    ("routes[0].compare.alias[0].at[0]", 7, "must be text"),
    ("routes[0].timeouts.total", 60, "has no unit; write 60s"),
    ("routes[0].timeouts.connect", "1s", "unknown key; known here: first_byte, between_bytes, total"),
    ("routes[0].timeouts", "2s", "must be a group of keys"),
    ("routes[0].ignored", [], 'did you mean "ignore"?'),
    ("unleash", "http://unleash", "must be a group of keys"),
    ("flagsmith", {}, "unknown key; known here: listen, admin,"),
]  # fmt: skip


def altered(changes: list[tuple[str, object]]) -> str:
    """The sample with other values at some places; None removes a key."""
    values = yaml.safe_load(SAMPLE)
    for where, value in changes:
        *above, last = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", where)]
        at = values
        for step in above:
            at = at[step]
        if value is None and isinstance(at, dict):
            del at[last]
        else:
            at[last] = value
    return yaml.safe_dump(values, sort_keys=False)


def test_the_sample_is_right(file: Path) -> None:
    assert len(loaded(file, altered([])).routes) == 2


@pytest.mark.parametrize(("where", "value", "words"), WRONG)
def test_one_wrong_value_is_one_fault_at_its_place(file: Path, where: str, value: object, words: str) -> None:
    (fault,) = faults(file, altered([(where, value)]))
    assert fault.place == where
    assert words in fault.message


TOGETHER: list[tuple[list[tuple[str, object]], str, str]] = [
    ([("admin.listen", "127.0.0.1:8080")], "admin.listen", "need ports of their own"),
    ([("listen", "0.0.0.0:9901")], "admin.listen", "127.0.0.1:9901 is also listen (0.0.0.0:9901)"),
    ([("listen", "192.0.2.1:9901"), ("admin.listen", "[::1]:9901"), ("listen", "[::]:9901")], "admin.listen", "ports"),
    ([("admin", None), ("listen", "127.0.0.1:9901")], "admin.listen", "need ports of their own"),
    ([("legacy.url", "http://127.0.0.1:8080")], "legacy.url", "is also listen: the proxy would ask itself"),
    ([("legacy.url", "http://localhost:8080")], "legacy.url", "is also listen (127.0.0.1:8080)"),
    ([("legacy.url", "http://[::1]:80"), ("listen", "0.0.0.0:80")], "legacy.url", "would ask itself"),
    ([("legacy.url", "http://LOCALHOST"), ("listen", "[::]:80")], "legacy.url", "would ask itself"),
    ([("legacy.url", "http://0.0.0.0:8080")], "legacy.url", "would ask itself"),
    ([("legacy.url", "http://127.0.0.1:9901")], "legacy.url", "go to the operators' port"),
    ([("native.url", "http://127.0.0.1:8080")], "native.url", "would ask itself"),
    ([("native.url", "http://127.0.0.1:3000")], "native.url", "is also legacy.url"),
    ([("native.url", "http://Rails:80"), ("legacy.url", "http://rails")], "native.url", "is also legacy.url"),
    ([("native.url", ["http://127.0.0.1:8080", "http://n"])], "native.url[0]", "would ask itself"),
    ([("native.url", ["http://n", "http://127.0.0.1:3000"])], "native.url[1]", "is also legacy.url"),
    ([("legacy.url", ["http://a", "http://127.0.0.1:3101"])], "native.url[1]", "legacy would be compared with itself"),
    ([("legacy.url", ["http://rails", "http://Rails:80"])], "legacy.url[1]", "is listed twice (rails:80)"),
    ([("legacy.url", ["unix:///a", "unix:///b", "unix:///a"])], "legacy.url[2]", "unix:///a is listed twice"),
    ([("legacy.url", "unix:///a"), ("native.url", "UNIX:///a")], "native.url", "unix:///a is also legacy.url: legacy"),
    ([("legacy.url", "https://rails"), ("native.url", "http://rails:443")], "native.url", "is also legacy.url"),
    ([("proxy_protocol", True), ("trusted_proxies", None)], "proxy_protocol", "anybody could name any address"),
    ([("proxy_protocol", True), ("trusted_proxies", [])], "proxy_protocol", "list the balancers"),
    ([("native", None), ("routes[0].shadow", "0%")], "routes[0].share", "5% needs a native side"),
    ([("native", None), ("routes[0].share", "0%")], "routes[0].shadow", "10% needs a native side"),
    ([("routes[0].match", "POST /a")], "routes[0].shadow", "POST is never asked of a second side"),
]


@pytest.mark.parametrize(("changes", "where", "words"), TOGETHER)
def test_values_that_are_right_alone_may_be_wrong_together(
    file: Path, changes: list[tuple[str, object]], where: str, words: str
) -> None:
    (fault,) = faults(file, altered(changes))
    assert fault.place == where
    assert words in fault.message


@pytest.mark.parametrize(
    "changes",
    [
        [("listen", "127.0.0.1:0"), ("admin.listen", "127.0.0.1:0")],
        [("listen", "127.0.0.2:9901")],
        [("listen", "0.0.0.0:3000"), ("legacy.url", "http://rails:3000")],
        [("legacy.url", "http://rails:8080")],
        [("legacy.url", "http://10.0.0.1:3100")],
        [("legacy.url", ["unix:///a", "unix:///A", "http://a", "https://a"]), ("native.url", "unix:///b")],
        [("proxy_protocol", True)],
        [("routes[0].match", "POST /a"), ("routes[0].shadow", "0%")],
        [("routes[0].match", "OPTIONS /a")],
        [("native", None), ("routes[0].share", "0%"), ("routes[0].shadow", "0%")],
    ],
)
def test_values_that_only_look_alike_are_right(file: Path, changes: list[tuple[str, object]]) -> None:
    assert loaded(file, altered(changes))


def test_tls_ends_where_proxy_protocol_is_spoken(file: Path, pair: Pair) -> None:
    tls = {"certificate": str(pair.certificate), "key": str(pair.key)}
    (fault,) = faults(file, altered([("tls", tls), ("proxy_protocol", True)]))
    assert fault.place == "tls"
    assert "before the TLS handshake" in fault.message
    assert loaded(file, altered([("tls", tls)])).tls


def test_authorities_that_verify_nothing_are_a_fault(file: Path, pair: Pair) -> None:
    authorities = ("native.ca", str(pair.certificate))
    assert faults(file, altered([authorities])) == [
        Fault("native.ca", "nothing is verified by it: no native.url begins with https://")
    ]
    assert loaded(file, altered([authorities, ("native.url", ["http://a", "https://b"])])).native


UNLEASH = "url: http://unleash:4242, token: 'default:production.hunter2'"


@pytest.mark.parametrize(
    ("section", "where", "words"),
    [
        ("url: unleash.internal, token: 'a:b.c'", "unleash.url", "must be a URL such as https://unleash.internal"),
        ("url: 'http://ada:hunter2@u', token: 'a:b.c'", "unleash.url", "without a user or a query"),
        ("url: http://u, token: hunter2", "unleash.token", "must be a client's token"),
        ("url: http://u", "unleash.token", "is required with unleash.url"),
        ("token: 'a:b.c'", "unleash.url", "is required with unleash.token"),
        (f"{UNLEASH}, admin_token: hunter2 hunter2", "unleash.admin_token", "visible ASCII characters"),
        (f"{UNLEASH}, backup: /nowhere/unleash.json", "unleash.backup", "/nowhere is no directory"),
        (f"{UNLEASH}, environment: production", "unleash.environment", "unknown key"),
    ],
)
def test_a_source_of_shares_that_could_not_be_followed_is_a_fault_and_its_secrets_are_not_repeated(
    file: Path, section: str, where: str, words: str
) -> None:
    (fault,) = faults(file, MINIMAL + f"unleash: {{{section}}}")
    assert fault.place == where
    assert words in fault.message
    assert "hunter2" not in fault.message


def test_a_share_has_one_source(file: Path) -> None:
    changes: list[tuple[str, object]] = [("unleash", {"url": "http://u", "token": "a:b.c"})]
    (fault,) = faults(file, altered(changes))
    assert fault == Fault("routes[0].share", "all shares are taken from Unleash: leave it out, or unleash.url")
    assert loaded(file, altered([*changes, ("routes[0].share", "0%")])).unleash.url == "http://u"


def test_unleash_is_followed_where_the_environment_names_it(file: Path) -> None:
    text = MINIMAL + "unleash: {url: ${UNLEASH_URL}, token: ${UNLEASH_TOKEN}, admin_token: ${UNLEASH_ADMIN_TOKEN}}\n"
    assert loaded(file, text).unleash.url is None
    named = loaded(file, text, {"UNLEASH_URL": "https://u/x/api/", "UNLEASH_TOKEN": "*:dev.s"}).unleash
    assert (named.url, named.token, named.admin_token) == ("https://u/x/api/", "*:dev.s", None)


def test_a_certificate_and_its_key_must_be_a_pair(file: Path, pair: Pair, tmp_path: Path) -> None:
    other, nothing = self_signed(tmp_path, "other"), tmp_path / "nothing"
    nothing.write_text("nothing")

    def told(certificate: Path, key: Path) -> list[str]:
        found = faults(file, MINIMAL + f"tls: {{certificate: {certificate}, key: {key}}}")
        return [str(fault) for fault in found]

    assert told(pair.certificate, other.key) == [
        f"tls.key: {other.key} is not the key of the certificate in {pair.certificate}"
    ]
    assert told(nothing, pair.key) == [f"tls.certificate: {nothing} holds no certificate in PEM"]
    assert told(pair.certificate, nothing) == [f"tls.key: {nothing} holds no private key in PEM"]
    assert told(tmp_path / "a", tmp_path / "b") == [
        f"tls.{key}: {tmp_path / name} cannot be read: No such file or directory"
        for key, name in (("certificate", "a"), ("key", "b"))
    ]
    assert places(file, MINIMAL + f"tls: {{certificate: {pair.certificate}}}") == ["tls.key"]


def test_a_secret_that_can_be_guessed_is_refused_and_not_repeated(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2" + " " * 40)
    (fault,) = faults(file, MINIMAL + f"secret: {secret}")
    assert fault.place == "secret"
    assert fault.message.startswith(f"{secret} holds 7 bytes, which can be guessed; a secret has at least 32")
    assert "hunter2" not in fault.message


def test_what_the_file_alone_does_not_show_stands_in_the_same_list_in_its_place(file: Path) -> None:
    file.write_text("native:\n  app: 'a:b'\n  budget: 1\nlegacy: {url: x}\n")
    with pytest.raises(ConfigError) as refused:
        load(file, {}, lambda values: [Fault("native.app", "cannot be had"), Fault("legacy.url", "follows")])
    assert [fault.place for fault in refused.value.faults] == ["native.app", "native.budget", "legacy.url"]
    assert "follows" not in str(refused.value)


def test_where_to_give_orders_is_read_from_a_file_that_is_wrong_elsewhere(file: Path) -> None:
    file.write_text("legacy: 5\nlisen: ${\nshadow:\nshadow:\nroutes: &r [*r]\nadmin: {listen: '127.0.0.1:${PORT}'}\n")
    assert load_admin(file, {"PORT": "77"}).listen == Address("127.0.0.1", 77)
    file.write_text("")
    assert load_admin(file, {}).listen == Address("127.0.0.1", 9901)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("admin: 5", "admin"),
        ("admin: {listen: 9901}", "admin.listen"),
        ("admin: {listen: '0.0.0.0:9901'}", "admin.listen"),
        ("admin: {listen: '127.0.0.1:${PORT}'}", "admin.listen"),
        ("admin: {tokens: /nowhere/tokens}", "admin.tokens"),
        ("admin: {token: x}", "admin.token"),
        ("admin:\nadmin:", "admin"),
    ],
)
def test_faults_in_the_place_to_give_orders_are_told_alone(file: Path, text: str, where: str) -> None:
    file.write_text(f"listen: 5\n{text}\n")
    with pytest.raises(ConfigError) as refused:
        load_admin(file, {})
    assert [fault.place for fault in refused.value.faults] == [where]


def related(one: str, other: str) -> bool:
    """One of them hides the other: a wrong section what is in it, tokens (even wrong ones) that they are missing."""
    return one.startswith(other) or other.startswith(one) or {one, other} == {"admin.listen", "admin.tokens"}


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(st.lists(st.sampled_from(WRONG), min_size=2, max_size=6, unique_by=lambda wrong: wrong[0]))
def test_several_wrong_values_are_several_faults(file: Path, wrong: list[tuple[str, object, str]]) -> None:
    chosen: list[tuple[str, object, str]] = []
    for each in wrong:
        if not any(related(each[0], other[0]) for other in chosen):
            chosen.append(each)
    found = {
        fault.place: fault.message for fault in faults(file, altered([(where, value) for where, value, _ in chosen]))
    }
    assert found.keys() == {where for where, _, _ in chosen}
    assert all(words in found[where] for where, _, words in chosen)


def test_faults_are_listed_in_the_order_of_the_file(file: Path) -> None:
    text = "routes:\n  - {name: a}\n  - {match: GET /}\nlisten: 1\nlegacy: {}\n"
    assert places(file, text) == ["routes[0].match", "routes[1].name", "listen", "legacy.url"]


def test_a_reader_sees_place_and_message_line_by_line(file: Path) -> None:
    file.write_text("legacy: {url: http://rails, connect: 1}\nlisen: x\n")
    with pytest.raises(ConfigError) as refused:
        load(file, {})
    assert str(refused.value) == (
        'legacy.connect: "1" has no unit; write 1s or 1000ms\nlisen: unknown key; did you mean "listen"?'
    )


def test_contradictions_are_found_beside_other_faults(file: Path) -> None:
    text = """
legacy: {url: x}
admin: {listen: 0.0.0.0:9901, extra: 1}
routes: [{name: a, match: "GET /{a}", x: 1}, {name: a, match: "GET /{b}"}, 5, {match: 7}]
"""
    assert {"admin.listen", "routes[1].name", "routes[1].match"} <= set(places(file, text))


def test_the_operators_port_may_be_open_with_tokens(file: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    text = MINIMAL + f"admin: {{listen: 0.0.0.0:9901, tokens: {tokens}}}"
    tokens.write_text("one\ntwo\n")
    assert loaded(file, text).admin.tokens == tokens
    tokens.write_text(" \n")
    assert faults(file, text) == [Fault("admin.tokens", f"{tokens}: no token; write one a line")]
    tokens.write_bytes(b"\xff")
    assert faults(file, text) == [Fault("admin.tokens", f"{tokens} is not UTF-8")]
    tokens.write_text("one viewer\ntwo owner\n")
    (fault,) = faults(file, text)
    assert fault.message == f"{tokens}: line 2: behind a token stands viewer or operator, then a name"


def test_tokens_may_stand_in_a_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = MINIMAL + "admin: {listen: 0.0.0.0:9901, tokens: 'env:TOKENS_OF_TESTS'}"
    assert faults(file, text) == [Fault("admin.tokens", "env:TOKENS_OF_TESTS: no token; write one a line")]
    monkeypatch.setenv("TOKENS_OF_TESTS", "one\ntwo viewer")
    assert loaded(file, text).admin.tokens == Path("env:TOKENS_OF_TESTS")


@pytest.mark.parametrize("place", ["directory", "directory/new/one"])
def test_state_is_kept_in_a_directory_that_is_there_or_can_be_made(place: str, file: Path, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    text = MINIMAL + f"admin: {{state: {tmp_path / place}}}"
    assert loaded(file, text).admin.state == tmp_path / place
    assert not (tmp_path / "directory" / "new").exists()


def test_a_state_directory_that_is_a_file_is_a_fault(file: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    text = MINIMAL + f"admin: {{state: {tmp_path / 'taken' / 'deeper'}}}"
    assert faults(file, text) == [Fault("admin.state", f"{tmp_path / 'taken'} is no directory")]


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1",
        "redis://127.0.0.1:6379/1",
        "redis://me:p%40ss@redis:6379",
        "rediss://:secret@[::1]:6380/2",
        "unix:///run/redis.sock",
        "redis+sentinel://:secret@one:26379,two:26379/flags/1?sentinel_password=another",
        "rediss+cluster://one:6379,two",
    ],
)
def test_redis_is_named_by_its_url(file: Path, url: str) -> None:
    assert loaded(file, MINIMAL + f'redis: "{url}"').redis == url


def test_a_password_for_redis_is_not_repeated(file: Path) -> None:
    (fault,) = faults(file, MINIMAL + "redis: redis//:hunter2@host")
    assert "hunter2" not in fault.message


# The text itself


def test_a_missing_file_is_a_fault(file: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(file, {})
    assert refused.value.faults == (Fault(str(file), "there is no such file"),)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})


def test_an_empty_file_lacks_legacy(file: Path) -> None:
    for text in ("", "# nothing\n", "null\n", "---\n"):
        assert faults(file, text) == [Fault("legacy", "is required")]


@pytest.mark.parametrize("text", ["- listen\n", "listen\n", "5\n"])
def test_a_file_without_keys_is_a_fault(file: Path, text: str) -> None:
    (fault,) = faults(file, text)
    assert fault.place == str(file)
    assert "must be keys and values" in fault.message


def test_what_is_not_utf_8_is_told_with_its_line(file: Path) -> None:
    assert faults(file, b"a: 1\nb: \xe9\n") == [Fault(f"{file}:2", "not UTF-8 (byte 0xe9)")]


def test_a_byte_order_mark_is_no_fault(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load(file, {}).legacy.url == (Address("127.0.0.1", 3000),)


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: 1\n b: 2\n", ":2:3", "mapping values are not allowed"),
        ("a: [1\nb: 2\n", ":2:2", "not YAML"),
        ("a: {url: ${X}, b: {\n", ":2:1", "not YAML"),
        ("a: 1\n---\nb: 2\n", ":2:1", "expected a single document"),
        ("a: \x00\n", "", "not YAML"),
        ("a: *x\n", ":1:4", "undefined alias"),
        ("routes: [{match: GET /users/{id}}]\n", ":1:29", 'stands in quotes: "GET /users/{id}"'),
        ("[" * 5000, "", "nested too deeply"),
    ],
)
def test_what_is_not_yaml_is_told_with_line_and_column(file: Path, text: str, where: str, words: str) -> None:
    (fault,) = faults(file, text)
    assert fault.place == f"{file}{where}"
    assert words in fault.message


def test_a_key_given_twice_is_a_fault(file: Path) -> None:
    (fault,) = faults(file, MINIMAL + "shadow:\n  queue: 1\n  queue: 2\n")
    assert fault == Fault("shadow.queue", "given twice (again in line 4)")


def test_a_key_that_is_no_word_is_a_fault(file: Path) -> None:
    assert places(file, MINIMAL + "? [a]\n: b\n") == ["the file"]


def test_a_value_that_contains_itself_is_a_fault(file: Path) -> None:
    assert "contains itself" in {fault.message for fault in faults(file, MINIMAL + "routes: &r [*r]\n")}


def test_an_empty_key_counts_as_absent(file: Path) -> None:
    assert loaded(file, MINIMAL + "native:\nroutes:\nshadow:\n  queue:\n") == loaded(file, MINIMAL)


# The environment


def test_variables_are_filled_in_even_inside_braces(file: Path) -> None:
    text = "legacy: {url: http://${HOST}:${PORT:-3000}, queue: ${QUEUE}, wait: ${WAIT:-2s}}"
    config = loaded(file, text, {"HOST": "rails", "QUEUE": "7"})
    assert (config.legacy.url, config.legacy.queue, config.legacy.wait) == ((Address("rails", 3000),), 7, 2.0)


def test_an_unset_variable_that_is_all_of_an_optional_value_means_absent(file: Path) -> None:
    text = MINIMAL + "redis: ${URL}\nadmin: {tokens: ${FILE}}\nshadow: {queue: ${QUEUE}}\n"
    for environ in ({}, {"URL": "", "FILE": "", "QUEUE": ""}):
        assert loaded(file, text, environ) == loaded(file, MINIMAL)


def test_an_unset_variable_that_is_needed_is_named(file: Path) -> None:
    text = "legacy: {url: ${LEGACY}}\nsubject: [address, ${SUBJECT}]\nlisten: 127.0.0.1:${PORT}\n"
    assert faults(file, text) == [
        Fault("legacy.url", "is required; the environment variable LEGACY is not set"),
        Fault("subject[1]", 'must be text, not "None"; the environment variable SUBJECT is not set'),
        Fault("listen", "the environment variable PORT is not set"),
    ]


@pytest.mark.parametrize("text", ["${", "${}", "${1}", "${A B}", "x${A:default}"])
def test_a_variable_written_wrongly_is_a_fault(file: Path, text: str) -> None:
    (fault,) = faults(file, MINIMAL + f'redis: "{text}"')
    assert fault.place == "redis"
    assert "write ${NAME} or ${NAME:-default}" in fault.message


@given(value=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
@example(value="~")
@example(value="null")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_a_variable_is_never_read_as_yaml(file: Path, value: str) -> None:
    file.write_text("legacy: {url: http://rails}\nsubject: ['header:${NAME}']\nlisen: ${NAME}\n", "utf-8")
    with pytest.raises(ConfigError) as refused:
        load(file, {"NAME": value})
    assert {fault.place for fault in refused.value.faults} <= {"lisen", "subject[0]"}


@given(st.binary() | st.text().map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_no_file_makes_it_raise_anything_else(file: Path, content: bytes) -> None:
    assert faults(file, content)


# The file and the page that users read


def keys(section: type[Section] = Config, above: str = "") -> Iterator[tuple[str, bool]]:
    for name, field in section.model_fields.items():
        below = section_in(field.annotation)
        if below is None:
            yield above + name, field.is_required()
        else:
            yield from keys(below, f"{above}{name}{'[]' if 'tuple' in str(field.annotation) else ''}.")


def documented() -> dict[str, str]:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    return dict(re.findall(r"^\| `([\w.\[\]]+)` \| [^|]+ \| `?([^|`]+)`? \|", page, re.MULTILINE))


def test_the_page_names_every_key_and_no_other() -> None:
    assert documented().keys() == {key for key, _ in keys()}


def test_the_page_says_which_keys_are_required() -> None:
    assert {key for key, default in documented().items() if default == "required"} == {
        key for key, required in keys() if required
    }


def test_the_defaults_on_the_page_are_the_defaults(file: Path) -> None:
    plain = loaded(file, MINIMAL + "native: {app: a:b}\nroutes: [{name: a, match: GET /a}]")
    for key, default in documented().items():
        if default not in ("required", "absent"):
            values = {"legacy": {"url": "http://127.0.0.1:3000"}, "native": {"app": "a:b"}}
            values |= {"routes": [{"name": "a", "match": "GET /a"}]}  # type: ignore[dict-item]  # deeper than the rest
            *above, last = key.replace("[]", ".0").split(".")
            at: object = values
            for step in above:
                at = at[0] if isinstance(at, list) else at.setdefault(step, {})  # type: ignore[attr-defined]  # a dict
            at[last] = yaml.safe_load(default)  # type: ignore[index]  # a dict
            assert loaded(file, yaml.safe_dump(values)) == plain, key


def test_the_example_is_right_in_an_empty_environment() -> None:
    config = load(ROOT / "config.yaml", {})
    assert [route.name for route in config.routes] == [
        "auth.login", "auth.refresh", "auth.logout", "conversations.list", "conversations.show", "conversations.update",
        "messages.list", "messages.create", "users.show", "users.update", "settings.show", "settings.update",
        "inboxes.show", "inboxes.update", "facebook.confirm", "facebook.receive",
    ]  # fmt: skip
    assert all(route.share == route.shadow == 0 for route in config.routes)
    assert config.redis is None
    assert config.admin.listen.is_loopback


def test_the_example_is_plain_yaml_for_other_tools() -> None:
    assert yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
