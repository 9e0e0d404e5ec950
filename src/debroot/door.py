"""A listener on a sandbox's loopback that is answered from outside: the way out of a network namespace that has none.

PID 1 of the sandbox opens the listener and hands it over through a socket that it inherited; connections are accepted
here. Threads of the caller answer them, so that they end when it does.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import IO, Any

log = logging.getLogger(__name__)

#: Where a sandbox finds it: no port that a package's test would take for itself.
ADDRESS = ("127.0.0.1", 3142)
#: Connections that are answered at the same time; more are closed.
MAX_CONNECTIONS = 16
#: Seconds that a connection may be silent.
SILENCE = 60.0
#: Bytes that go out at once.
BLOCK = 1 << 18

#: The file for the path of a GET request. Errors: Refusal.
Answer = Callable[[str], IO[bytes]]


class Refusal(Exception):
    """Not served; the message says why. `status` is HTTP's. *quiet*: nobody did anything wrong."""

    def __init__(self, message: str, status: int = 403, *, quiet: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.quiet = quiet


class Door:
    """Answers GET requests from inside with what *answer* gives; `refuse` hears of everything else."""

    def __init__(self, answer: Answer, refuse: Callable[[str], None]) -> None:
        self._answer = answer
        self._refuse = refuse

    @contextmanager
    def opened(self) -> Iterator[tuple[int, str, int]]:
        """For the launcher: the descriptor to hand the listener over, and its address. It is answered in the block."""
        ours, theirs = socket.socketpair()
        with ours, theirs, _Server(self._answer, self._refuse) as server:
            thread = threading.Thread(target=server.run, args=(ours,), name="door", daemon=True)
            thread.start()
            try:
                yield (theirs.fileno(), *ADDRESS)
            finally:
                with suppress(OSError):
                    ours.shutdown(socket.SHUT_RDWR)  # the listener may never have come
                server.shutdown()
                thread.join()


class _Server(HTTPServer):
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, answer: Answer, refuse: Callable[[str], None]) -> None:
        super().__init__(ADDRESS, _Handler, bind_and_activate=False)
        self.answer, self.refuse = answer, refuse
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def run(self, channel: socket.socket) -> None:
        _, fds, _, _ = socket.recv_fds(channel, 1, 1)
        if fds:
            self.socket.close()
            self.socket = socket.socket(fileno=fds[0])
            self.serve_forever(poll_interval=0.2)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.refuse(f"more than {MAX_CONNECTIONS} connections")
            self.shutdown_request(request)
            return
        threading.Thread(target=self._handle, args=(request, client_address), name="door", daemon=True).start()

    def _handle(self, request: Any, client_address: Any) -> None:
        try:
            with suppress(OSError):  # the other side went away
                self.finish_request(request, client_address)
        finally:
            with suppress(OSError):
                self.shutdown_request(request)
            self._slots.release()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "debroot", ""
    timeout = SILENCE
    server: _Server

    def do_GET(self) -> None:
        try:
            found = self.server.answer(self.path)
        except Refusal as refusal:
            self._refuse(str(refusal), refusal.status, quiet=refusal.quiet)
            return
        with found as file:
            size = file.seek(0, 2)
            file.seek(0)
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(size))
            self.end_headers()
            while self.command == "GET" and (block := file.read(BLOCK)):
                self.wfile.write(block)

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Called by http.server for other methods and for what is no HTTP."""
        self.close_connection = True
        self._refuse(message or explain or "no request", code)

    def _refuse(self, why: str, status: int, *, quiet: bool = False) -> None:
        request = f"{getattr(self, 'command', None) or '?'} {getattr(self, 'path', '')}"[:300]
        if not quiet:
            self.server.refuse(f"{request}: {why}")
        body = b"not served\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("door: %r", format % args)
