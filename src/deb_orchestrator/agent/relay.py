"""The hub's archive on loopback: what resolves build-dependencies on this host needs no trust in the hub's authority.

apt checks signatures itself; the relay only carries bytes over the agent's own verified TLS connection. It asks as
the agent, who reads private suites: so that no other user of this host does, all but an unguessable path is 404.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from debcore.errors import Failure
from debcore.http import Http, HttpFailure

log = logging.getLogger(__name__)

MAX_FILE = 4 * 2**30  #: bytes


@contextmanager
def relaying(http: Http) -> Iterator[str]:
    """Yields the base URL (without /apt) that stands for the hub's while the block runs."""
    secret = secrets.token_hex(16)  # no "_", which apt writes otherwise in names of its lists

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the last chunk of each file waits 40 ms for apt's acknowledgement

        def do_GET(self) -> None:
            path = find_path(secret, self.path)
            if path is None:
                self._answer(404)
                return
            try:
                with http.stream("GET", path, timeout=120) as chunks:
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for chunk in chunks:
                        if chunk:
                            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                    self.wfile.write(b"0\r\n\r\n")
            except HttpFailure as failure:
                self._answer(failure.code)
            except (Failure, OSError) as failure:
                log.warning("apt relay: %s: %s", path, failure)
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            log.debug("apt relay: %s", (format % args).replace(secret, "…"))

        def _answer(self, code: int) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="apt-relay", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/{secret}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def find_path(secret: str, path: str) -> str | None:
    """What is to be asked of the hub, if *path* begins with the *secret* and stays in the archive."""
    _, first, rest = [*path.split("/", 2), "", ""][:3]
    known = secrets.compare_digest(first.encode(errors="replace"), secret.encode())
    return f"/{rest}" if known and rest.startswith("apt/") and ".." not in unquote(rest).split("/") else None
