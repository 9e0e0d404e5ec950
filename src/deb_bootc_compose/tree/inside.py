"""The sandbox's side of a call: one JSON request on stdin, one JSON answer on stdout. Standard library only.

`outside.call` starts it in a tools root, with this package and debcore bound below /opt.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from debcore.errors import Failure

#: Functions that may be called: a typing error should not become an import.
CALLS = frozenset(
    {
        "deb_bootc_compose.tree.finish:run_steps",
        "deb_bootc_compose.tree.finish:pin_ids",
        "deb_bootc_compose.tree.finish:audit",
        "deb_bootc_compose.tree.finish:describe",
        "deb_bootc_compose.tree.reuse:is_same_initramfs",
        "deb_bootc_compose.derive.inside:take_layout",
        "deb_bootc_compose.derive.inside:unpack_layout",
        "deb_bootc_compose.derive.inside:settle",
        "deb_bootc_compose.derive.inside:describe",
        "deb_bootc_compose.lints.registry:lint",
        "deb_bootc_compose.oci.writer:write",
        "deb_bootc_compose.oci.importer:replay",
    }
)


def main() -> None:
    """Answer is {"result": …} or {"failure": {"message", "hint"}}; a traceback is our bug and stays one."""
    os.umask(0o022)  # whatever the caller's is
    request = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints goes to the log
    if request["call"] not in CALLS:
        raise ValueError(request["call"])
    module, _, function = request["call"].partition(":")
    answer: dict[str, Any]
    try:
        answer = {"result": getattr(importlib.import_module(module), function)(**request["arguments"])}
    except Failure as failure:
        answer = {"failure": {"message": str(failure), "hint": failure.hint}}
    json.dump(answer, answers)
    answers.close()
