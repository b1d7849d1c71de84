"""Real answers of the legacy application for the corpus: `python -m bench.noise.recording` writes `answers.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from demo.stack import running_stack

ANSWERS = Path(__file__).parent / "answers.json"
WHO = {"email": "agent1@acme.example", "password": "password"}
AWKWARD = "<b>Grüße & Küsse</b> – „naïve“ 😀 1 < 2"
KEPT = ("content-type", "cache-control", "etag", "vary", "x-request-id")
REQUESTS = {  # by the name of their route
    "conversations.list": "/api/v1/conversations?limit=8",
    "conversations.open": "/api/v1/conversations?status=open&limit=5",
    "conversations.show": "/api/v1/conversations/{conversation}",
    "messages.list": "/api/v1/conversations/{conversation}/messages?limit=8",
    "users.show": "/api/v1/users/{user}",
    "settings.show": "/api/v1/accounts/{account}/settings",
    "inboxes.show": "/api/v1/inboxes/{inbox}",
    "conversations.absent": "/api/v1/conversations/999999999",
    "conversations.refused": "/api/v1/conversations?limit=0",
}


def main() -> None:
    with (
        running_stack(seed_bcrypt_cost=4) as stack,
        httpx.Client(base_url=stack.rails.service.url, timeout=30) as rails,
    ):
        signed_in = rails.post("/auth/login", json=WHO).raise_for_status().json()
        rails.headers["authorization"] = f"Bearer {signed_in['accessToken']}"
        newest = rails.get("/api/v1/conversations?limit=1").raise_for_status().json()["data"][0]
        written = {"content": AWKWARD, "conversationId": newest["id"]}
        rails.post("/api/v1/messages", json=written).raise_for_status()
        known = {
            "conversation": newest["id"],
            "inbox": newest["inbox"]["id"],
            "user": signed_in["user"]["id"],
            "account": signed_in["user"]["accountId"],
        }
        told = {name: _kept(path.format(**known), rails) for name, path in REQUESTS.items()}
    ANSWERS.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    print(f"{len(told)} answers are kept in {ANSWERS}")


def _kept(path: str, rails: httpx.Client) -> dict[str, Any]:
    answer = rails.get(path)
    headers = [[name, value] for name, value in answer.headers.multi_items() if name in KEPT]
    return {"target": path, "status": answer.status_code, "headers": headers, "body": answer.json()}


if __name__ == "__main__":
    main()
