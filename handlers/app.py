"""The composition: resources, what surrounds a request, routes. `handlers.app:app` is an ASGI application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.convertors import register_url_convertor
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from . import accounts, conversations, inboxes, logs, messages, sessions, users, webhooks
from .deadline import Deadline
from .errors import AnswerFaults, InternalServerError, fault
from .middleware import ConditionalGet, HearOut, RailsTarget, RequestContext
from .resources import Resources, Settings
from .roles import Roles
from .shadow import Shadows
from .target import RowId

register_url_convertor("row", RowId())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler as an ASGI application, without the layer for faults that Starlette's own has: see `Messaging`."""

    handler: Callable[[Request], Awaitable[Response]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.handler(Request(scope, receive))
        await response(scope, receive, send)


def route(method: str, path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(path, Endpoint(handler), methods=[method])


# Looked through in this order for each request: what is asked most stands first.
ROUTES = [
    route("GET", "/api/v1/conversations/{id:row}", conversations.show),
    route("GET", "/api/v1/conversations/{id:row}/messages", messages.index),
    route("GET", "/api/v1/conversations", conversations.index),
    route("POST", "/api/v1/messages", messages.create),
    route("POST", "/webhooks/facebook", webhooks.receive),
    route("GET", "/webhooks/facebook", webhooks.confirm),
    route("PATCH", "/api/v1/conversations/{id:row}", conversations.update),
    route("GET", "/api/v1/users/{id:row}", users.show),
    route("PATCH", "/api/v1/users/{id:row}", users.update),
    route("GET", "/api/v1/accounts/{id:row}/settings", accounts.show_settings),
    route("PATCH", "/api/v1/accounts/{id:row}/settings", accounts.update_settings),
    route("GET", "/api/v1/inboxes/{id:row}", inboxes.show),
    route("PATCH", "/api/v1/inboxes/{id:row}", inboxes.update),
    route("POST", "/auth/refresh", sessions.refresh),
    route("POST", "/auth/login", sessions.login),
    route("POST", "/auth/logout", sessions.logout),
]


class Messaging(Starlette):
    """The messaging application. Without settings of its own it reads the environment when it starts."""

    def __init__(self, settings: Settings | None = None, routes: Sequence[BaseRoute] = ROUTES) -> None:
        self.settings = settings
        super().__init__(
            routes=routes,
            middleware=[
                Middleware(RequestContext, failed=self.write_down),
                Middleware(HearOut),
                Middleware(ConditionalGet),
                Middleware(Roles),
                Middleware(AnswerFaults),
                Middleware(Shadows),
                Middleware(Deadline),
                Middleware(RailsTarget),
            ],
            lifespan=self.hold_resources,
        )
        self.router.redirect_slashes = False  # RailsTarget has seen to them

    def build_middleware_stack(self) -> ASGIApp:
        """Without Starlette's layers for faults: `AnswerFaults` leaves them none, and every request pays."""
        stack: ASGIApp = self.router
        for layer, arguments, options in reversed(self.user_middleware):
            stack = layer(stack, *arguments, **options)
        return stack

    @asynccontextmanager
    async def hold_resources(self, app: Starlette) -> AsyncIterator[None]:
        logs.configure()
        settings = self.settings or Settings.from_environment(os.environ)
        self.state.shadows = None
        async with AsyncExitStack() as held:
            self.state.resources = await held.enter_async_context(Resources.open(settings))
            if (theirs := settings.of_shadows()) is not None:
                self.state.shadows = await held.enter_async_context(Resources.open(theirs, shadow=True))
            yield

    def write_down(self, error: Exception, scope: Scope, seconds: float) -> None:
        """Why a request failed: a line of log, and a report if it was a bug of ours."""
        told = logs.context(scope, seconds)
        logs.write(error, told)
        if isinstance(fault(error), InternalServerError):
            self.state.resources.reports.tell(error, told)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette writes into the scope it is given, which is the caller's and may be used for another side.
        await super().__call__({**scope}, receive, send)


app = Messaging()
