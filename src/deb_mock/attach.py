"""A command of the user in a workspace, with the user's own streams or terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from deb_mock.workspace import Workspace
from debcore.command import Completed
from debroot.sandbox import run_in, start_in

SHELL = ("bash", "-l")


def attach(
    space: Workspace,
    argv: Sequence[str],
    *,
    root: bool,
    tty: bool,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    capture: bool = False,
) -> Completed:
    """Run *argv*, with the caller's streams unless *capture*; its status is as a shell counts it. *tty*: with the
    caller's terminal, as it is."""
    names = {"HOME": "/root", "USER": "root", "LOGNAME": "root"} if root else {}
    given = {"TERM": os.environ.get("TERM", "dumb"), **names, **(env or {})}
    sandbox = replace(space.sandbox(root=root, env=given, cwd=cwd), tty=tty)
    if not tty:
        done = run_in(sandbox, argv, idmap=space.store.idmap, stdin=0, check=False, capture=capture)
    else:
        with start_in(sandbox, argv, idmap=space.store.idmap, stdin=0) as running:
            done = Completed(tuple(argv), running.wait(), b"", b"")
    return replace(done, status=done.status if done.status >= 0 else 128 - done.status)
