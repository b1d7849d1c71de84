"""The origin and the proxies in front of it, each a process of its own on one core."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.machine import PEERS
from bench.patterns import PATH, routes
from bench.processes import pinned
from demo.service import LOOPBACK, Service, ServiceError, await_ready, free_port

PYTHON = sys.executable
ELSEWHERE = "127.0.0.2"  # the origin's other address, where it plays native: the two sides cannot be one
_MESSAGE = {
    "id": 1, "conversationId": 4711, "sender": {"type": "user", "id": 17, "name": "Grace Hopper"},
    "direction": "outgoing", "content": "Thank you, your parcel leaves today.", "status": "sent",
    "createdAt": "2026-01-02T03:04:05.678Z", "updatedAt": "2026-01-02T03:04:05.678Z",
}  # fmt: skip
ANSWER = json.dumps({"data": [_MESSAGE] * 8, "meta": {"nextCursor": None}}, separators=(",", ":"))
# What Rails sends with it.
HEADERS = {
    "ETag": 'W/"5d41402abc4b2a76b9719d911017c592"',
    "Cache-Control": "max-age=0, private, must-revalidate",
    "X-Request-Id": "0b1f3d0e-58cc-4372-a567-0e02b2c3d479",
    "X-Runtime": "0.004711",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "X-XSS-Protection": "0",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
_NGINX = """
daemon off; master_process off; worker_processes 1; error_log stderr; pid {directory}/nginx-{port}.pid;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_timeout 1h; keepalive_requests 1000000000; client_max_body_size 0;
  client_body_temp_path {directory}/body-{port}; proxy_temp_path {directory}/proxy-{port};
  fastcgi_temp_path {directory}/fastcgi-{port}; uwsgi_temp_path {directory}/uwsgi-{port};
  scgi_temp_path {directory}/scgi-{port};
  {more}
}}
"""
_NGINX_PROXY = """
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream origin {{
    server {host}:{upstream}; keepalive 256; keepalive_timeout 1h; keepalive_requests 1000000000;
  }}
  server {{
    listen {host}:{port};
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_read_timeout 1h;
      proxy_set_header Host $http_host;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Request-Id $request_id;
    }}
  }}
"""
_HAPROXY = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  option forwardfor
  http-reuse always
frontend public
  bind {host}:{port}
  http-request set-header X-Forwarded-Proto http
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  default_backend origin
backend origin
  server origin {host}:{upstream}
"""


@dataclass(frozen=True, slots=True)
class Ours:
    """A running `strangler serve` and its operators' port."""

    service: Service
    admin: int

    def counted(self, metric: str) -> dict[str, float]:
        """The series of a metric, by their labels as they are written."""
        lines = _get(self.admin, "/metrics")[1].decode().splitlines()
        found = [line.rpartition(" ") for line in lines if line.startswith((f"{metric}{{", f"{metric} "))]
        return {name.removeprefix(metric): float(value) for name, _, value in found}


def nginx_origin(core: int, directory: Path) -> Service:
    """An origin that costs as little as can be: nginx answering from memory."""
    more = "".join(f"add_header {name} '{value}'; " for name, value in HEADERS.items())
    port = free_port()
    listen = "".join(f"listen {host}:{port}; " for host in (LOOPBACK, ELSEWHERE))
    answer = f"default_type 'application/json; charset=utf-8'; return 200 '{ANSWER}';"
    return _nginx("origin", f"{more} server {{ {listen} location / {{ {answer} }} }}", port, core, directory)


def nginx(upstream: int, core: int, directory: Path) -> Service:
    port = free_port()
    return _nginx("nginx", _NGINX_PROXY.format(host=LOOPBACK, port=port, upstream=upstream), port, core, directory)


def _nginx(name: str, more: str, port: int, core: int, directory: Path) -> Service:
    path = directory / f"nginx-{port}.conf"
    path.write_text(_NGINX.format(directory=directory, port=port, more=more))
    service = pinned(name, ["nginx", "-p", directory, "-c", path], cores=[core], port=port, directory=directory)
    return listening(service)


def haproxy(upstream: int, core: int, directory: Path) -> Service:
    port = free_port()
    path = directory / f"haproxy-{port}.conf"
    path.write_text(_HAPROXY.format(host=LOOPBACK, port=port, upstream=upstream))
    return listening(pinned("haproxy", ["haproxy", "-db", "-f", path], cores=[core], port=port, directory=directory))


def peer(name: str, script: str, upstream: int, core: int, directory: Path) -> Service:
    """A Python proxy that this repository measures itself against, in the peers' own environment."""
    port = free_port()
    command: list[str | Path] = [PEERS / "python", "-m", script, str(port), f"http://{LOOPBACK}:{upstream}"]
    return listening(pinned(name, command, cores=[core], port=port, directory=directory))


def strangler(
    name: str,
    config: Mapping[str, Any],
    *,
    cores: list[int],
    directory: Path,
    arguments: tuple[str, ...] = (),
) -> Ours:
    """`strangler serve` with this configuration on ports of its own, ready for both sides."""
    port, admin = free_port(), free_port()
    listening = {
        "listen": f"{LOOPBACK}:{port}",
        "admin": {**config.get("admin", {}), "listen": f"{LOOPBACK}:{admin}"},
    }
    path = directory / f"strangler-{port}.yaml"
    path.write_text(yaml.safe_dump({**config, **listening}))
    command: list[str | Path] = [PYTHON, "-m", "proxy.cli", "serve", "--config", path, *arguments]
    ours = Ours(pinned(name, command, cores=cores, port=port, directory=directory), admin)
    await_ready(ours.service, lambda: _is_ready(ours, "native" in config))
    return ours


def _is_ready(ours: Ours, native: bool) -> bool:
    try:
        return _get(ours.admin, "/readyz")[0] == 200 and (
            not native or ours.counted("strangler_native_ready") == {"": 1.0}
        )
    except (OSError, http.client.HTTPException):
        return False


def configured(upstream: int, *, native: bool = False, access: bool = False, count: int = 200) -> dict[str, Any]:
    """A configuration with all features on. `native`: every route is native's, so that requests go the ASGI way."""
    origin = f"http://{LOOPBACK}:{upstream}"
    share = {"share": "100%"} if native else {}
    return {
        "legacy": {"url": origin},
        **({"native": {"url": f"http://{ELSEWHERE}:{upstream}"}} if native else {}),
        "holdback": 0,  # or part of what is to go the ASGI way would not
        "trusted_proxies": ["10.0.0.0/8"],
        "log": {"access": access},
        "routes": [{**route, **share} for route in routes(count)],
    }


def listening(service: Service) -> Service:
    """The service, as soon as it takes connections."""
    await_ready(service, lambda: _accepts(service.port))
    return service


def answering(service: Service) -> Service:
    """The service, as soon as it answers what `nginx_origin` answers."""
    await_ready(service, lambda: _answers(service))
    return service


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((LOOPBACK, port)) == 0


def _answers(service: Service) -> bool:
    try:
        status, body = _get(service.port, PATH)
    except (OSError, http.client.HTTPException):
        return False
    if status == 200 and body.decode() != ANSWER:
        raise ServiceError(f"{service.name} answers something else than the origin does: {body[:200]!r}")
    return status == 200


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
