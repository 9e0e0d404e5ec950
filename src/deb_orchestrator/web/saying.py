"""HTTP/1.1 whose status line can say why: dput prints that line and, of a refusal, nothing else.

An answer with the header X-Reason has its text as reason phrase. Source: RFC 9112, 4 (reason-phrase).
"""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REASON = "x-reason"
#: Bytes of a reason phrase.
MAX_REASON = 300


def make_reason(text: str) -> str:
    """*text* as a header's value: one line of printable ASCII, bounded."""
    line = " ".join(text.split()).encode("ascii", "replace").decode()
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:MAX_REASON].strip()


class SayingConnection(h11.Connection):
    """Moves the text of X-Reason into the status line."""

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        if isinstance(event, h11.Response):
            said = next((value for name, value in event.headers if name == REASON.encode()), None)
            if said:
                event = h11.Response(status_code=event.status_code, headers=event.headers, reason=said)
        return super().send_with_data_passthrough(event)


class SayingProtocol(H11Protocol):
    """uvicorn's own, on such a connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = SayingConnection(h11.SERVER, self.conn._max_incomplete_event_size)
