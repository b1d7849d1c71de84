"""What no value of a configuration shows by itself: values that are right alone and wrong together. No I/O.

They are looked for in the raw values, so that other faults do not hide them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, product
from typing import TypeVar

from proxy import units
from proxy.address import Address
from proxy.faults import Fault
from proxy.routes import Route
from proxy.sections import Admin, Config
from shadow.eligibility import SAFE

T = TypeVar("T")
Values = Mapping[str, object]
ANYWHERE = frozenset({"0.0.0.0", "::"})  # every address of this machine, loopback among them

_APART = [
    ("admin.listen", "listen", "users' requests and operators' orders need ports of their own"),
    ("legacy.url", "listen", "the proxy would ask itself, without end"),
    ("legacy.url", "admin.listen", "users' requests would go to the operators' port"),
    ("native.url", "listen", "the proxy would ask itself, without end"),
    ("native.url", "admin.listen", "users' requests would go to the operators' port"),
    ("native.url", "legacy.url", "legacy would be compared with itself, and moving users would move nobody"),
]


def contradictions(values: Values) -> Iterator[Fault]:
    """Every one of them."""
    yield from admin_contradictions(values)
    native = values.get("native")
    if isinstance(native, dict) and not {"app", "url"} & native.keys():
        yield Fault("native", "must name an app or a url; leave native out to keep everything on legacy")
    yield from _of_the_door(values)
    yield from _collisions(values)
    yield from _never_verified(values)
    yield from _half_of_unleash(values)
    yield from _told_twice(values)
    listed = values.get("routes")
    numbered = enumerate(listed if isinstance(listed, list) else ())
    routes = {index: route for index, route in numbered if isinstance(route, dict)}
    yield from _repetitions(routes)
    yield from _never_asked(routes, has_native="native" in values)
    if _in(values, "unleash", "url") is not None:
        yield from _two_sources(routes)


def admin_contradictions(values: Values) -> Iterator[Fault]:
    """Those within the section `admin`."""
    admin = values.get("admin")
    if isinstance(admin, dict) and "tokens" not in admin:
        listen = _tried(Address.parse, admin.get("listen"))
        if listen is not None and not listen.is_loopback:
            yield Fault(
                "admin.listen",
                f"{listen} can be reached from other machines, and no tokens are set: anybody could move traffic; "
                "listen on 127.0.0.1 or set admin.tokens",
            )


def _of_the_door(values: Values) -> Iterator[Fault]:
    """Those about how users' connections begin."""
    if values.get("proxy_protocol") is not True:
        return
    if "tls" in values:
        yield Fault(
            "tls",
            "with proxy_protocol a header stands before the TLS handshake, where none is read; "
            "let the balancer that writes it carry TLS, too, and leave tls out",
        )
    if not values.get("trusted_proxies"):
        yield Fault(
            "proxy_protocol",
            "without trusted_proxies anybody could name any address as the user's; "
            "list the balancers that write the header",
        )


def _collisions(values: Values) -> Iterator[Fault]:
    ours = {
        "listen": values.get("listen", str(Config.model_fields["listen"].default)),
        "admin.listen": _in(values, "admin", "listen", str(Admin.model_fields["listen"].default)),
    }
    addresses = {place: _addresses(place, Address.parse, value) for place, value in ours.items()}
    for side in ("legacy", "native"):
        addresses[f"{side}.url"] = _addresses(f"{side}.url", Address.of_url, _in(values, side, "url"))
        for (_, first), (place, second) in combinations(addresses[f"{side}.url"].items(), 2):
            if _meet(first, second, both_ours=False):
                yield Fault(place, f"{second} is listed twice{_unlike(second, first)}")
    for key, other, why in _APART:
        for (place, one), two in product(addresses[key].items(), addresses[other].values()):
            if _meet(one, two, both_ours=key in ours and other in ours):
                yield Fault(place, f"{one} is also {other}{_unlike(one, two)}: {why}")


def _addresses(key: str, parse: Callable[[str], Address], value: object) -> dict[str, Address]:
    """Each address by its place: a key's value alone, or each of its list."""
    listed = {f"{key}[{index}]": each for index, each in enumerate(value)} if isinstance(value, list) else {key: value}
    return {place: address for place, each in listed.items() if (address := _tried(parse, each)) is not None}


def _unlike(one: Address, two: Address) -> str:
    return "" if str(one) == str(two) else f" ({two})"


def _never_verified(values: Values) -> Iterator[Fault]:
    for side in ("legacy", "native"):
        addresses = _addresses(f"{side}.url", Address.of_url, _in(values, side, "url")).values()
        if _in(values, side, "ca") is not None and addresses and not any(address.tls for address in addresses):
            yield Fault(f"{side}.ca", f"nothing is verified by it: no {side}.url begins with https://")


def _half_of_unleash(values: Values) -> Iterator[Fault]:
    url, token = _in(values, "unleash", "url"), _in(values, "unleash", "token")
    if url is not None and token is None:
        yield Fault("unleash.token", "is required with unleash.url: a client's token, such as default:production.6f1c…")
    if url is None and token is not None:
        yield Fault("unleash.url", "is required with unleash.token: without it no share is taken from Unleash")


def _two_sources(routes: Mapping[int, Mapping[str, object]]) -> Iterator[Fault]:
    for index, route in routes.items():
        if _points(route.get("share")):
            yield Fault(f"routes[{index}].share", "all shares are taken from Unleash: leave it out, or unleash.url")


def _told_twice(values: Values) -> Iterator[Fault]:
    listed = values.get("webhooks")
    urls = [hook.get("url") for hook in listed if isinstance(hook, dict)] if isinstance(listed, list) else []
    for index, url in enumerate(urls):
        if url is not None and url in urls[:index]:
            yield Fault(f"webhooks[{index}].url", "is listed above already: it is told everything once")


def _in(values: Values, section: str, key: str, default: object = None) -> object:
    held = values.get(section, {})
    return held.get(key, default) if isinstance(held, dict) else None


def _meet(one: Address, two: Address, *, both_ours: bool) -> bool:
    """Whether both lead to one port; 0 is another one each time. `both_ours`: both are listened on, on this machine."""
    if one.path or two.path:
        return one.path == two.path
    if one.port != two.port or one.port == 0:
        return False
    hosts = one.host.lower(), two.host.lower()
    if hosts[0] == hosts[1]:
        return True
    here = one.is_loopback or one.host in ANYWHERE, two.is_loopback or two.host in ANYWHERE
    if not ANYWHERE.isdisjoint(hosts):
        return both_ours or all(here)
    return "localhost" in hosts and all(here)


def _repetitions(routes: Mapping[int, Mapping[str, object]]) -> Iterator[Fault]:
    names: dict[object, int] = {}
    shapes: dict[object, int] = {}
    for index, route in routes.items():
        name, matched = route.get("name"), _route(route)
        if isinstance(name, str) and (first := names.setdefault(name, index)) != index:
            yield Fault(f"routes[{index}].name", f'"{name}" is already the name of routes[{first}]')
        if matched is not None and (first := shapes.setdefault(matched.shape, index)) != index:
            yield Fault(f"routes[{index}].match", f"{route['match']} is already matched by routes[{first}]")


def _never_asked(routes: Mapping[int, Mapping[str, object]], *, has_native: bool) -> Iterator[Fault]:
    for index, route in routes.items():
        for key in ("share", "shadow"):
            if not has_native and _points(route.get(key)):
                yield Fault(
                    f"routes[{index}].{key}",
                    f"{route[key]} needs a native side: name native.app or native.url, or leave {key} out",
                )
        matched = _route(route)
        if matched is not None and matched.method not in SAFE and _points(route.get("shadow")):
            yield Fault(
                f"routes[{index}].shadow",
                f"{matched.method} is never asked of a second side, because it may change something; "
                f"leave shadow out (asked are {', '.join(sorted(SAFE))})",
            )


def _route(route: Mapping[str, object]) -> Route | None:
    return _tried(lambda match: Route.parse("", match), route.get("match"))


def _points(share: object) -> int:
    return _tried(units.share, share) or 0


def _tried(parse: Callable[[str], T], value: object) -> T | None:
    """None for what is no such value, which its own fault says."""
    try:
        return parse(value) if isinstance(value, str) else None
    except ValueError:
        return None
