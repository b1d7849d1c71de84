"""What no value of a configuration shows by itself: values that are right alone and wrong together. No I/O.

They are looked for in the raw values, so that other faults do not hide them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
    yield from _collisions(values)
    listed = values.get("routes")
    numbered = enumerate(listed if isinstance(listed, list) else ())
    routes = {index: route for index, route in numbered if isinstance(route, dict)}
    yield from _repetitions(routes)
    yield from _never_asked(routes, has_native="native" in values)


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


def _collisions(values: Values) -> Iterator[Fault]:
    addresses = {
        "listen": _tried(Address.parse, values.get("listen", str(Config.model_fields["listen"].default))),
        "admin.listen": _tried(
            Address.parse, _in(values, "admin", "listen", str(Admin.model_fields["listen"].default))
        ),
        "legacy.url": _tried(Address.of_url, _in(values, "legacy", "url")),
        "native.url": _tried(Address.of_url, _in(values, "native", "url")),
    }
    for place, other, why in _APART:
        one, two = addresses[place], addresses[other]
        both_ours = place.endswith("listen") and other.endswith("listen")
        if one is not None and two is not None and _meet(one, two, both_ours=both_ours):
            yield Fault(place, f"{one} is also {other}{'' if one == two else f' ({two})'}: {why}")


def _in(values: Values, section: str, key: str, default: object = None) -> object:
    held = values.get(section, {})
    return held.get(key, default) if isinstance(held, dict) else None


def _meet(one: Address, two: Address, *, both_ours: bool) -> bool:
    """Whether both lead to one port; 0 is another one each time. `both_ours`: both are listened on, on this machine."""
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
