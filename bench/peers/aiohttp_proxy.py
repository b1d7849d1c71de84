"""A small reverse proxy on aiohttp's server and client, on uvloop: `python -m … PORT ORIGIN`.

It streams both ways, keeps connections, leaves encodings, cookies and paths alone, and sets the forwarding headers.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection"}
NO_LIMIT = aiohttp.ClientTimeout(total=None, sock_read=60)
CLIENT = web.AppKey("client", aiohttp.ClientSession)


def end_to_end(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)


def forward(origin: str) -> web.Application:
    async def client(app: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=256, keepalive_timeout=60)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, timeout=NO_LIMIT
        ) as app[CLIENT]:
            yield

    async def answer(request: web.Request) -> web.StreamResponse:
        headers = end_to_end(CIMultiDict(request.headers))
        headers["X-Forwarded-For"] = request.remote or ""
        headers["X-Forwarded-Proto"] = request.scheme
        body = request.content if request.body_exists else None
        url = URL(origin + request.raw_path, encoded=True)
        session = request.app[CLIENT]
        async with session.request(request.method, url, headers=headers, data=body, allow_redirects=False) as upstream:
            answer = web.StreamResponse(status=upstream.status, headers=end_to_end(CIMultiDict(upstream.headers)))
            await answer.prepare(request)
            async for chunk in upstream.content.iter_any():
                await answer.write(chunk)
            await answer.write_eof()
            return answer

    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/{path:.*}", answer)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(forward(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
