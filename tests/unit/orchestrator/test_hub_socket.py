"""The socket that a hub listens on."""

from __future__ import annotations

import socket

from deb_orchestrator.hub import Listen, _bind


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """asyncio switches Nagle's algorithm off only where the socket says that it is TCP's."""
    with _bind(Listen()) as listening:
        assert listening.proto == socket.IPPROTO_TCP
