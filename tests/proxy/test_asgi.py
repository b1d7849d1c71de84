from __future__ import annotations

import pytest

from proxy.asgi import http_scope, origin_form


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        (b"/", b"/", None),
        (b"/a%2Fb//c/../d?", b"/a%2Fb//c/../d?", None),
        (b"//host/path", b"//host/path", None),
        (b"*", b"*", None),
        (b"http://example.test", b"/", b"example.test"),
        (b"http://example.test?a=/b", b"/?a=/b", b"example.test"),
        (b"http://example.test:81/a?b=http://c", b"/a?b=http://c", b"example.test:81"),
        (b"http://user:secret@example.test/", b"/", b"example.test"),
        (b"http://[::1]:81/a", b"/a", b"[::1]:81"),
    ],
)
def test_a_target_is_asked_in_origin_form(url: bytes, target: bytes, authority: bytes | None) -> None:
    assert origin_form(url, b"GET") == (target, authority)


@pytest.mark.parametrize(("url", "target"), [(b"http://a", b"*"), (b"http://a/", b"/"), (b"*", b"*")])
def test_options_without_a_path_are_those_of_the_server(url: bytes, target: bytes) -> None:
    assert origin_form(url, b"OPTIONS")[0] == target


def test_a_scope_tells_a_target_as_asgi_reads_it_and_as_it_came() -> None:
    scope = http_scope(
        "GET",
        "1.1",
        b"/a%2Fb%C3%A4%ff?c=%20?d",
        [(b"host", b"example.test")],
        scheme="https",
        server=("127.0.0.1", 80),
        client=("192.0.2.7", 1),
    )
    assert scope["path"] == "/a/b\u00e4\ufffd"
    assert (scope["raw_path"], scope["query_string"]) == (b"/a%2Fb%C3%A4%ff", b"c=%20?d")
    assert scope["strangler.target"] == b"/a%2Fb%C3%A4%ff?c=%20?d"
    assert (scope["method"], scope["http_version"], scope["scheme"]) == ("GET", "1.1", "https")
    assert (scope["headers"], scope["client"]) == ([(b"host", b"example.test")], ("192.0.2.7", 1))
