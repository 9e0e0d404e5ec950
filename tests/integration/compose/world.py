"""The world of these tests: a manifest without builds (no hub is needed), and composes of it as processes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.journal import read_results
from debcore.command import Completed, Process, run, spawn
from debcore.errors import CommandFailed

BIN = Path(sys.executable).parent / "deb-bootc-compose"
EXAMPLE = Path(__file__).resolve().parents[3] / "examples/server"

MANIFEST = """\
schema: deb-bootc-compose/1
release: {name: Test Server, short: Test, version: "13"}
compose: {type: test}
suite: trixie
include: base.tree.yaml
variants:
  server:
    arches: [amd64]
    ref: test/${suite}/${arch}/server
    add-files:
      - {from: motd, to: /etc/motd}
    outputs:
      container: {name: test/server, tags: ["${version}", latest]}
      images: [{type: raw}]
    tests: [lint]
    lint: {waive: [{rule: bootc-client, reason: updates by OSTree only}]}
"""


def copy_base(directory: Path) -> None:
    """base.tree.yaml of the example and the files that it adds, into *directory*."""
    shutil.copy(EXAMPLE / "base.tree.yaml", directory)
    shutil.copytree(EXAMPLE / "files", directory / "files")


def outputs(compose: ComposeDirectory, key: str = "server.amd64") -> dict[str, str]:
    """What must be the same if nothing else is: commit, digest of the image, hash of the raw disk."""
    made = read_results(compose.journal_path)
    return {
        "commit": made[f"commit.{key}"]["commit"], "container": made[f"container.{key}"]["digest"],
        "raw": made[f"image.{key}"]["images"][0]["sha256"],
    }  # fmt: skip


@dataclass(frozen=True)
class Composer:
    """Runs deb-bootc-compose on `manifest`."""

    manifest: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = 1500  #: seconds for one call; machines without KVM on a busy host need many times more

    def call(self, *argv: str | Path, check: bool = True, env: Mapping[str, str] | None = None) -> Completed:
        return run([BIN, *argv], check=check, extra_env={**self.environment, **(env or {})}, timeout=self.patience)

    def refuse(self, *argv: str | Path) -> CommandFailed:
        """How it fails: exit status and all that it printed."""
        with pytest.raises(CommandFailed) as caught:
            self.call(*argv)
        return caught.value

    def start(self, *argv: str | Path, log: Path) -> Process:
        with log.open("ab") as file:
            return spawn([BIN, *argv], stdout=file, stderr=file, extra_env=self.environment)

    def write(self, text: str, *, name: str = "compose.yaml") -> None:
        (self.manifest / name).write_text(text)
