"""The configuration of a process, read from a file: whole and valid, or every fault at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from proxy.contradictions import Values, admin_contradictions, contradictions
from proxy.document import Document
from proxy.faults import ConfigError, Fault, place, unknown_key, worded
from proxy.sections import Admin, Config, section_at

__all__ = ["Config", "ConfigError", "Fault", "load", "load_admin", "route_names"]

Model = TypeVar("Model", bound=BaseModel)


class _AdminAlone(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    admin: Admin = Admin()


def load(
    path: Path | str, environ: Mapping[str, str], more: Callable[[Values], Iterable[Fault]] = lambda values: ()
) -> Config:
    """The configuration in a file; ConfigError lists everything that is wrong with it.

    `more` finds what the file alone does not show, so that it stands in the same list.
    """
    document, values = _read(path, environ)
    config, found = _validated(Config, values)
    return _sound(config, document, [*document.faults, *found, *contradictions(values), *more(values)])


def load_admin(path: Path | str, environ: Mapping[str, str]) -> Admin:
    """Where to give an order: of a file that is half edited elsewhere, too, because a rollback must not wait."""
    document, values = _read(path, environ)
    alone, found = _validated(_AdminAlone, values)
    of_text = [fault for fault in document.faults if fault.place == "admin" or fault.place.startswith("admin.")]
    return _sound(alone, document, [*of_text, *found, *admin_contradictions(values)]).admin


def route_names(path: Path | str, environ: Mapping[str, str]) -> frozenset[str]:
    """The names of the routes in a file, faulty or not."""
    _, values = _read(path, environ)
    routes = values.get("routes")
    return frozenset(
        name
        for route in (routes if isinstance(routes, list) else ())
        if isinstance(route, dict)
        for name in [route.get("name")]
        if isinstance(name, str)
    )


def _read(path: Path | str, environ: Mapping[str, str]) -> tuple[Document, Values]:
    document, values = Document.read(Path(path), environ)
    if not isinstance(values, dict):
        raise ConfigError([Fault(str(path), "must be keys and values, such as listen: 127.0.0.1:8080")])
    return document, values


def _validated(model: type[Model], values: Values) -> tuple[Model | None, list[Fault]]:
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        return None, [_fault(each) for each in error.errors(include_url=False)]


def _sound(model: Model | None, document: Document, found: Iterable[Fault]) -> Model:
    faults: dict[str, Fault] = {}  # the first at each place: what follows it there is its consequence
    for fault in found:
        faults.setdefault(fault.place, fault)
    if model is None or faults:
        raise ConfigError(sorted(map(document.explained, faults.values()), key=document.line))
    return model


def _fault(error: ErrorDetails) -> Fault:
    if error["type"] != "extra_forbidden":
        return worded(error)
    *above, key = error["loc"]
    return unknown_key(place(error["loc"]), key, list(section_at(above).model_fields))
