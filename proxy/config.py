"""The configuration of a process, read from a file: whole and valid, or every fault at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.address import Address
from proxy.document import Document
from proxy.faults import ConfigError, Fault, place, unknown_key, worded
from proxy.routes import Route
from proxy.sections import Config, section_at

__all__ = ["Config", "ConfigError", "Fault", "load"]


def load(path: Path | str, environ: Mapping[str, str]) -> Config:
    """The configuration in a file; ConfigError lists everything that is wrong with it."""
    document, values = Document.read(Path(path), environ)
    if not isinstance(values, dict):
        raise ConfigError([Fault(str(path), "must be keys and values, such as listen: 127.0.0.1:8080")])
    config, found = _validated(values)
    faults: dict[str, Fault] = {}  # the first at each place: what follows it there is its consequence
    for fault in (*document.faults, *found, *_contradictions(values)):
        faults.setdefault(fault.place, fault)
    if config is None or faults:
        raise ConfigError(sorted(map(document.explained, faults.values()), key=document.line))
    return config


def _validated(values: Mapping[str, object]) -> tuple[Config | None, list[Fault]]:
    try:
        return Config.model_validate(values), []
    except ValidationError as error:
        return None, [_fault(each) for each in error.errors(include_url=False)]


def _fault(error: ErrorDetails) -> Fault:
    if error["type"] != "extra_forbidden":
        return worded(error)
    *above, key = error["loc"]
    return unknown_key(place(error["loc"]), key, list(section_at(above).model_fields))


def _contradictions(values: Mapping[str, object]) -> Iterator[Fault]:
    """What no value shows by itself; looked for in the raw values, so that other faults do not hide it."""
    admin, native, routes = values.get("admin"), values.get("native"), values.get("routes")
    if isinstance(admin, dict) and "tokens" not in admin and _is_open(admin.get("listen")):
        yield Fault(
            "admin.listen",
            f"{admin['listen']} can be reached from other machines, and no tokens are set: anybody could move traffic; "
            "listen on 127.0.0.1 or set admin.tokens",
        )
    if isinstance(native, dict) and not {"app", "url"} & native.keys():
        yield Fault("native", "must name an app or a url; leave native out to keep everything on legacy")
    names: dict[object, int] = {}
    shapes: dict[object, int] = {}
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if isinstance(route, dict):
            name, shape = route.get("name"), _shape(route.get("match"))
            if isinstance(name, str) and (first := names.setdefault(name, index)) != index:
                yield Fault(f"routes[{index}].name", f'"{name}" is already the name of routes[{first}]')
            if shape is not None and (first := shapes.setdefault(shape, index)) != index:
                yield Fault(f"routes[{index}].match", f"{route['match']} is already matched by routes[{first}]")


def _is_open(listen: object) -> bool:
    try:
        return isinstance(listen, str) and not Address.parse(listen).is_loopback
    except ValueError:
        return False


def _shape(match: object) -> object | None:
    try:
        return Route.parse("", match).shape if isinstance(match, str) else None
    except ValueError:
        return None
