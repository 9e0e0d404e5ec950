"""The caller's side of a call into the sandbox: Python of a tools root works on files of the id map.

Files of a tree belong to subordinate ids that only root inside can touch, and reading them inside gives the ids that
the image must have. So everything that looks into a tree runs there; `inside.main` is the other side.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import deb_bootc_compose
import debcore
from debcore.errors import CommandFailed, Failure
from debroot.sandbox import ENVIRONMENT, Bind, Sandbox, run_in
from debroot.store import Layer, Store

log = logging.getLogger(__name__)

OPT = "/opt/deb-bootc-compose"
BOOT = f"import sys; sys.path.insert(0, {OPT!r}); from deb_bootc_compose.tree.inside import main; main()"

#: What the tools root needs for everything in tree, lints, ostree and oci.
TOOLS = ("python3", "ostree", "gpg", "gpgv", "zstd", "skopeo")


def own_binds() -> tuple[Bind, ...]:
    """Our own code, read-only, so that it runs inside as it is here."""
    packages = (("debcore", debcore), ("deb_bootc_compose", deb_bootc_compose))
    return tuple(
        Bind(source=Path(str(module.__file__)).resolve().parent, target=f"{OPT}/{name}") for name, module in packages
    )


def run_tools(
    store: Store,
    tools: Layer,
    argv: Sequence[str],
    *,
    binds: Sequence[Bind] = (),
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
    suppress_sync: bool = False,
) -> bytes:
    """Run a program of the tools root over *binds* and return its stdout. Errors: CommandFailed with its stderr.

    *suppress_sync*: nothing that it writes need survive a power cut, or somebody syncs it afterwards.
    """
    environment = {**ENVIRONMENT, **(env or {})}
    box = Sandbox(lowers=tools.lowers(), binds=tuple(binds), env=environment, suppress_sync=suppress_sync)
    done = run_in(box, argv, idmap=store.idmap, stdin=stdin, capture=True, check=check)
    return done.stdout


def call(
    store: Store,
    tools: Layer,
    function: str,
    arguments: Mapping[str, Any],
    *,
    binds: Sequence[Bind] = (),
    log_to: IO[bytes] | None = None,
    suppress_sync: bool = False,
) -> dict[str, Any]:
    """Call `module:function` (one of inside.CALLS) in the tools root, over *binds*. What it prints goes to *log_to*.

    Errors: the Failure it raised, its message and hint; CommandFailed for anything else.
    """
    request = json.dumps({"call": function, "arguments": dict(arguments)}).encode()
    box = Sandbox(lowers=tools.lowers(), binds=(*own_binds(), *binds), suppress_sync=suppress_sync)
    argv = ["python3", "-I", "-B", "-c", BOOT]
    done = run_in(box, argv, idmap=store.idmap, stdin=request, capture=True, check=False)
    if log_to is not None:
        log_to.write(done.stderr)
        log_to.flush()
    if done.status:
        log.debug("%s", done.stderr.decode("utf-8", "replace"))
        raise CommandFailed(argv[:1], done.status, done.stderr.decode("utf-8", "replace"))
    answer: dict[str, Any] = json.loads(done.stdout)
    if "failure" in answer:
        raise Failure(answer["failure"]["message"], hint=answer["failure"]["hint"])
    result: dict[str, Any] = answer["result"]
    return result
