"""Architectures that were allowed to fail, and did: what a finished compose left out because of it."""

from __future__ import annotations

import json

from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.journal import read_results


def left_out_of(compose: ComposeDirectory) -> tuple[str, ...]:
    """NAME.ARCH of each that failed; nothing of it is published. Errors: Failure, OSError if the journal is damaged."""
    return tuple(read_results(compose.journal_path).get("publish", {}).get("left_out", ()))


def is_whole_but_failable(compose: ComposeDirectory) -> bool:
    """Whether nothing else was left out: machines may run it as they may run one that is FINISHED.

    Errors: Failure, OSError, ValueError if it is damaged.
    """
    if compose.status() is not Status.FINISHED_INCOMPLETE or not left_out_of(compose):
        return False
    options = json.loads(compose.manifest_path.read_bytes())["options"]
    return not any(options.get(word) for word in ("skip", "until", "only"))
