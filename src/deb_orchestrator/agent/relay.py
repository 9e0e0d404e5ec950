"""The hub's archive on loopback: what resolves build-dependencies on this host needs no trust in the hub's authority.

apt checks signatures itself; the relay only carries bytes over the agent's own verified TLS connection.
"""

from __future__ import annotations

import logging
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

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith("/apt/") or ".." in unquote(self.path).split("/"):
                self._answer(404)
                return
            try:
                with http.stream("GET", self.path, timeout=120) as chunks:
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
                log.warning("apt relay: %s: %s", self.path, failure)
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            log.debug(format, *args)

        def _answer(self, code: int) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="apt-relay", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
