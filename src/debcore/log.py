"""Logging: one line for a person on stderr, or one JSON object a line for a farm."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Literal

from debcore.trace import AddTrace

#: In the environment: json or text.
STYLE = "DEBOOTC_LOG_FORMAT"


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "logger", "message", …}`; keys given as `extra={"action": …}` are kept, and `trace`."""

    STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

    def format(self, record: logging.LogRecord) -> str:
        fields = {k: v for k, v in vars(record).items() if k not in self.STANDARD}
        line = {"at": self.formatTime(record), "level": record.levelname.lower(), "logger": record.name}
        line |= {"message": record.getMessage(), **fields}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logging(*, verbose: int = 0, style: Literal["text", "json"] | None = None) -> None:
    """INFO is a sentence for the user; `-v` adds DEBUG, where every command can be pasted.

    *style* None: as the environment says (DEBOOTC_LOG_FORMAT), else text.
    """
    style = style or ("json" if os.environ.get(STYLE) == "json" else "text")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else logging.Formatter("%(message)s"))
    handler.addFilter(AddTrace())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for noisy in ("httpx", "httpcore", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def counted(number: int, noun: str) -> str:
    """`1 package`, `2 packages`: of nouns that take an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
