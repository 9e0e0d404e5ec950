"""On a PYTHONPATH: this process, those that it starts and every sandbox of them see the day of FAKETIME.

The library lies in /run of the sandbox, which is no part of what is made there. Behind mmdebstrap's chroot it lies in
/run too, but only as long as mmdebstrap works.
"""

from __future__ import annotations

import os
import time
from typing import Any

from debroot import sandbox

SEEN = "/run/faketime.so"
WORDS = ("FAKETIME", "FAKETIME_DISABLE_SHM", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT")
HOOKS = (
    f'--setup-hook=mkdir -p "$1/run" && cp {SEEN} "$1{SEEN}"',
    f'--customize-hook=rm "$1{SEEN}"',
)

LATER = 40 * 86400.0  #: seconds, as FAKETIME says

_make_spec, _time = sandbox.make_spec, time.time


def make_spec(*args: Any, **kwargs: Any) -> dict[str, Any]:
    spec = _make_spec(*args, **kwargs)
    if "dracut" in spec["argv"]:  # it takes along what its programs load, and would take the library
        return spec
    bind = {
        "source": os.environ["ANOTHER_DAY"], "target": SEEN, "readonly": True, "directory": False, "in_memory": False
    }  # fmt: skip
    told = {word: os.environ[word] for word in WORDS}
    program, *words = spec["argv"]
    hooks = HOOKS if program == "mmdebstrap" else ()
    return {
        **spec, "binds": [*spec["binds"], bind], "env": {**spec["env"], **told, "LD_PRELOAD": SEEN},
        "argv": [program, *hooks, *words],
    }  # fmt: skip


if "ANOTHER_DAY" in os.environ:
    sandbox.make_spec = make_spec
    time.time = lambda: _time() + LATER  # the library makes Python's own sleep fail
