"""One answer as it stands on the wire for its user. No I/O."""

from __future__ import annotations

from proxy.headers import BODILESS, Header, forward_response, forward_trailers, message_head, status_line


class Framed:
    """`keep_alive`: whether the user's connection may serve another request; false after an answer that ends with it.

    `delimited`: the answer's end is that of the connection.
    """

    __slots__ = ("_chunked", "_method", "_version", "delimited", "keep_alive")

    def __init__(self, method: str, version: str, *, keep_alive: bool) -> None:
        self._method, self._version, self.keep_alive = method, version, keep_alive
        self._chunked = self.delimited = False

    def head(self, status: int, phrase: bytes, headers: list[Header]) -> bytes:
        headers = forward_response(headers)
        if status == 204:
            headers = [header for header in headers if header[0] != b"content-length"]  # RFC 9110 §8.6
        has_body = self._method != "HEAD" and status not in BODILESS
        if has_body and all(header[0] != b"content-length" for header in headers):
            if self._version == "1.0":
                self.delimited, self.keep_alive = True, False  # it knows no chunks (RFC 9112 §6.1)
            else:
                self._chunked = True
                headers.append((b"transfer-encoding", b"chunked"))
        if not self.keep_alive:
            headers.append((b"connection", b"close"))
        return message_head(status_line(status, phrase), headers)

    def piece(self, body: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(body), body) if self._chunked else body

    def end(self, trailers: list[Header]) -> bytes:
        if not self._chunked:
            return b""
        return message_head(b"0", forward_trailers(trailers)) if trailers else b"0\r\n\r\n"
