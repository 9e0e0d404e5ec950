"""The trace that a call belongs to: W3C's traceparent in, a trace id in every line of the log, and traceparent out.

Source: W3C Trace Context, level 1.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HEADER = "traceparent"
#: In the environment of a program: what it does belongs to that trace.
VARIABLE = "TRACEPARENT"
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")

#: Of the call or job at hand: 32 hex digits, or "".
TRACE: ContextVar[str] = ContextVar("trace", default="")


def make_trace() -> str:
    return secrets.token_hex(16)


def parse_traceparent(text: str) -> str:
    """The trace id; "" if *text* is none that W3C's rules allow."""
    match = _TRACEPARENT.fullmatch(text.strip())
    if match is None or match[1] == "ff" or (match[1] == "00" and match[4]):
        return ""
    return match[2] if set(match[2]) != {"0"} and set(match[3]) != {"0"} else ""


def make_traceparent(trace: str) -> str:
    """With a span id of its own."""
    return f"00-{trace}-{secrets.token_hex(8)}-01"


@contextmanager
def tracing(trace: str | None) -> Iterator[None]:
    """What is logged and called meanwhile, by this thread, belongs to *trace*; with none, to what it belonged to."""
    if not trace:
        yield
        return
    token = TRACE.set(trace)
    try:
        yield
    finally:
        TRACE.reset(token)


class AddTrace(logging.Filter):
    """Gives each record the field `trace`, where there is one."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "trace") and (trace := TRACE.get()):  # what is passed on has its own
            record.trace = trace
        return True
