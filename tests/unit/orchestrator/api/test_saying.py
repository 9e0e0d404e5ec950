"""The status line says why."""

from __future__ import annotations

import h11
import pytest

from deb_orchestrator.web.saying import MAX_REASON, SayingConnection, make_reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello 1.0: no", "hello 1.0: no"),
        ("two\nlines\r\nX-Evil: 1", "two lines X-Evil: 1"),
        ("bell \x07, umlaut \u00e4, nul \x00", "bell ?, umlaut ?, nul ?"),
        ("x" * 1000, "x" * MAX_REASON),
        ("", ""),
    ],
)
def test_a_reason_is_one_line_of_ascii(text: str, reason: str) -> None:
    assert make_reason(text) == reason


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        ([("X-Reason", "hello is not signed")], b"HTTP/1.1 422 hello is not signed\r\n"),
        ([], b"HTTP/1.1 422 \r\n"),
    ],
)
def test_an_answer_with_a_reason_has_it_in_its_first_line(headers: list[tuple[str, str]], line: bytes) -> None:
    connection = SayingConnection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.next_event()
    sent = connection.send(h11.Response(status_code=422, headers=[*headers, ("Content-Length", "0")]))
    assert sent is not None
    assert sent.startswith(line)
