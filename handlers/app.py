"""The composition: resources, what surrounds a request, routes. `handlers.app:app` is an ASGI application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.convertors import register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from . import auth, conversations, messages
from .errors import AnswerFaults, no_route
from .middleware import ConditionalGet, RailsTarget, RequestContext
from .resources import Resources, Settings
from .target import RowId

register_url_convertor("row", RowId())

ROUTES = [
    Route("/auth/login", auth.login, methods=["POST"]),
    Route("/api/v1/conversations", conversations.index),
    Route("/api/v1/conversations/{id:row}", conversations.show),
    Route("/api/v1/conversations/{id:row}/messages", messages.index),
    Route("/api/v1/messages", messages.create, methods=["POST"]),
]


class Messaging(Starlette):
    """The messaging application. Without settings of its own it reads the environment when it starts."""

    def __init__(self, settings: Settings | None = None, routes: Sequence[BaseRoute] = ROUTES) -> None:
        self.settings = settings
        super().__init__(
            routes=routes,
            middleware=[
                Middleware(RequestContext),
                Middleware(ConditionalGet),
                Middleware(AnswerFaults),
                Middleware(RailsTarget),
            ],
            exception_handlers={HTTPException: no_route},
            lifespan=self.hold_resources,
        )
        self.router.redirect_slashes = False  # RailsTarget has seen to them

    @asynccontextmanager
    async def hold_resources(self, app: Starlette) -> AsyncIterator[None]:
        settings = self.settings or Settings.from_environment(os.environ)
        async with Resources.open(settings) as self.state.resources:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette writes into the scope it is given, which is the caller's and may be used for another side.
        await super().__call__({**scope}, receive, send)


app = Messaging()
