"""What is cached, under which key and for how long, and what a change makes untrue. No I/O.

Both sides name alike: legacy/app/services/cache/entry.rb.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer that may be kept. It is forgotten with its key, and with the names that it shows of other rows."""

    key: str
    seconds: int
    names: str | None = None


def user(id: int) -> Entry:
    return Entry(f"user:{id}", 15 * MINUTE)


def conversation(id: int, account_id: int) -> Entry:
    return Entry(f"conversation:{id}", 5 * MINUTE, names(account_id))


def first_page(conversation_id: int, account_id: int) -> Entry:
    """The newest messages, as many as a page has by default. Other pages are not kept."""
    return Entry(f"conversation:{conversation_id}:messages", 2 * MINUTE, names(account_id))


def settings(account_id: int) -> Entry:
    return Entry(f"account:{account_id}:settings", 30 * MINUTE)


def inbox(id: int) -> Entry:
    return Entry(f"inbox:{id}:config", 10 * MINUTE)


def names(account_id: int) -> str:
    """Stands for the names of an account's users, contacts and inboxes. They change rarely, and are shown in thousands
    of conversations: forgetting it makes all of those misses at once."""
    return f"account:{account_id}:names"


def of_user(id: int, account_id: int) -> tuple[str, ...]:
    """The keys that a change of a user makes untrue."""
    return user(id).key, names(account_id)


def of_conversation(id: int, account_id: int) -> tuple[str, ...]:
    return (conversation(id, account_id).key,)


def of_message(conversation_id: int, account_id: int) -> tuple[str, ...]:
    """A conversation shows how many messages it has, and the last one."""
    return conversation(conversation_id, account_id).key, first_page(conversation_id, account_id).key


def of_settings(account_id: int) -> tuple[str, ...]:
    return (settings(account_id).key,)


def of_inbox(id: int, account_id: int) -> tuple[str, ...]:
    return inbox(id).key, names(account_id)
