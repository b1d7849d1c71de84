"""Native as `strangler handlers` runs it, but so many processes at one port: `python -m bench.native.served 3100 2`."""

from __future__ import annotations

import os
import sys

from demo.service import LOOPBACK
from proxy.address import Address
from proxy.processes import serve_native
from proxy.sockets import listen


def main(port: int, processes: int) -> None:
    sock = listen(Address(LOOPBACK, port), "the port")
    for _ in range(processes - 1):
        if os.fork() == 0:  # nothing has been started yet
            break
    serve_native("handlers.app:app", sock)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
