"""The manifest's own scripts, run in the tree: after its files are there, before anything is judged or made final.

They have no network, no service starts, and what they leave is finished like all else: units become presets, /var is
audited, times go. What their environment holds is the same each time.
"""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State

POLICY = "usr/sbin/policy-rc.d"  #: the identity step takes it out again
REFUSAL = "#!/bin/sh\n# Nothing starts while an image is made.\nexit 101\n"

SHELL = 'umask 022; exec 2>&1; exec /bin/sh -euc "$1" postprocess'


def run(tree: Path, options: FinishOptions, state: State) -> None:
    """Refuse the start of services, unless the image itself says what may start."""
    del state
    if options.postprocess and not files.read_text(tree, POLICY):
        files.write(tree, POLICY, REFUSAL, mode=0o755)


def commands(options: FinishOptions, state: State) -> list[list[str]]:
    del state
    return [["/bin/sh", "-c", SHELL, "sh", script] for script in options.postprocess]


def is_wanted(options: FinishOptions) -> bool:
    return bool(options.postprocess)


def called(index: int) -> str:
    """Begins with the key, by which the manifest's line is found."""
    return f"postprocess.{index}: script {index + 1}"
