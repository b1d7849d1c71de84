"""Routes as a grown API has them, and requests for them. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

RESOURCES = (
    "conversations", "accounts", "users", "inboxes", "contacts", "teams", "labels", "webhooks", "campaigns", "articles",
    "categories", "portals", "reports", "macros", "automation_rules", "custom_filters", "canned_responses", "agents",
    "agent_bots", "integrations", "notifications", "audit_logs", "sla_policies", "companies", "attachments",
)  # fmt: skip
_EACH = (
    "GET {base}",
    "POST {base}",
    "GET {base}/{{id}}",
    "PATCH {base}/{{id}}",
    "DELETE {base}/{{id}}",
    "GET {base}/{{id}}/messages",
    "POST {base}/{{id}}/messages",
    "GET {base}/{{id}}/messages/{{message_id}}",
)
PATH = "/api/v1/conversations/4711/messages"  # of one of the first ten routes, so that every table has it


def routes(count: int) -> list[dict[str, str]]:
    """The first `count` routes (at most 1 000) as a configuration lists them; their shares are 0."""
    return [{"name": f"route.{number}", "match": match} for number, match in enumerate(islice(_matches(), count))]


def _matches() -> Iterator[str]:
    places = ("/api/v1", "/api/v2", "/public/api/v1", "/platform/api/v1", "/admin/api/v1")
    for place, resource, match in product(places, RESOURCES, _EACH):
        yield match.format(base=f"{place}/{resource}")
