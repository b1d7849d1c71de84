"""Where Redis is, as it is written down: each form, and what is said of those that are none."""

from __future__ import annotations

import pytest

from flags.store.place import FORMS, Kind, Place


@pytest.mark.parametrize(
    ("url", "kind", "servers"),
    [
        ("redis://127.0.0.1", Kind.SERVER, (("127.0.0.1", 6379),)),
        ("redis://127.0.0.1:6380/1", Kind.SERVER, (("127.0.0.1", 6380),)),
        ("rediss://:secret@[::1]:6380/2", Kind.SERVER, (("::1", 6380),)),
        ("unix:///run/redis.sock?db=3", Kind.SERVER, ()),
        ("redis+sentinel://one,two:26380/main", Kind.SENTINEL, (("one", 26379), ("two", 26380))),
        ("rediss+sentinel://[fe80::1]:5/main/2", Kind.SENTINEL, (("fe80::1", 5),)),
        ("redis+cluster://one:7000,two,three:7002", Kind.CLUSTER, (("one", 7000), ("two", 6379), ("three", 7002))),
        ("rediss+cluster://one/0", Kind.CLUSTER, (("one", 6379),)),
    ],
)
def test_each_form_says_whom_to_ask(url: str, kind: Kind, servers: tuple[tuple[str, int], ...]) -> None:
    place = Place.parse(url)
    assert (place.kind, place.servers, place.tls) == (kind, servers, url.startswith("rediss"))


def test_of_sentinels_it_says_the_masters_name_the_database_and_who_we_are_to_whom() -> None:
    place = Place.parse(
        "rediss+sentinel://me:p%40ss@one/the%20main/2?sentinel_username=watcher&sentinel_password=w%26w"
        "&ssl_ca_certs=/etc/ca.pem&ssl_certfile=/etc/own.pem&ssl_keyfile=/etc/own.key"
    )
    assert (place.master, place.database) == ("the main", 2)
    assert (place.login, place.asking) == (
        {"username": "me", "password": "p@ss"},
        {"username": "watcher", "password": "w&w"},
    )
    assert place.files == {
        "ssl_ca_certs": "/etc/ca.pem",
        "ssl_certfile": "/etc/own.pem",
        "ssl_keyfile": "/etc/own.key",
    }


def test_to_the_nodes_of_a_cluster_we_are_who_we_are_to_redis() -> None:
    place = Place.parse("redis+cluster://:secret@one,two")
    assert place.login == place.asking == {"password": "secret"}


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@host:6379/1",
        "rediss+cluster://me:hunter2@host:6379",
        "redis+sentinel://:hunter2@host:6379/1?sentinel_password=hunter2",
    ],
)
def test_a_password_is_shown_nowhere(url: str) -> None:
    place = Place.parse(url)
    assert "hunter2" not in place.shown
    assert "host:6379" in place.shown
    assert "hunter2" not in repr(place)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", FORMS),
        ("unix://", FORMS),
        ("http://hunter2", FORMS),
        ("redis//:hunter2@host", FORMS),
        ("redis://:hunter2@host/one", FORMS),
        ("redis+cluster://:hunter2@", FORMS),
        ("redis+cluster://one,,two", FORMS),
        ("redis+sentinel://:hunter2@one/main/two", FORMS),
        ("redis+ring://:hunter2@one", FORMS),
        ("redis://:hunter2@host:99999/1", "has no valid port (99999); it must be a number from 1 to 65535"),
        ("redis+cluster://one,two:0", "has no valid port (0); it must be a number from 1 to 65535"),
        (
            "redis://:hunter2@one,two",
            "names several servers; only redis+sentinel:// and redis+cluster:// do",
        ),
        (
            "redis+sentinel://:hunter2@one:26379",
            "does not say which master the Sentinels watch; write redis+sentinel://one:26379/its-name",
        ),
        ("redis+cluster://one/3", "names a database, and a Cluster has only one; leave it out"),
        (
            "rediss://one?ssl_ca=hunter2",
            'says "ssl_ca" behind the "?", where only ssl_ca_certs, ssl_certfile, ssl_keyfile may stand',
        ),
        (
            "redis://one?sentinel_password=hunter2",
            'says "sentinel_password" behind the "?", where only ssl_ca_certs, ssl_certfile, ssl_keyfile may stand',
        ),
        (
            "redis://one?ssl_ca_certs=/ca.pem",
            "says ssl_ca_certs, and that there is no TLS; with TLS it begins with rediss",
        ),
    ],
)
def test_what_is_wrong_is_said_and_no_password_repeated(url: str, words: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  # its words are compared whole
        Place.parse(url)
    assert str(error.value) == words
    assert "hunter2" not in str(error.value)
