"""The world of the acceptance tests: a hub as a process, our programs, tiny source packages."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from debcore.command import run
from debcore.hub.client import HubClient
from debcore.hub.credential import load_token

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


class Tool(Protocol):
    """Run one of our programs to its end and return what it printed."""

    def __call__(self, *argv: str | Path, check: bool = True, cwd: Path | None = None) -> str: ...


@dataclass(frozen=True)
class Hub:
    """A running hub with its builder."""

    url: str
    token_file: Path
    state: Path
    pid: int

    def client(self) -> HubClient:
        return HubClient(self.url, load_token(self.token_file))


def write_package(at: Path, name: str, *, depends: str = "", build: str = "true", arch: str = "all") -> Path:
    """A native source directory as small as Policy allows; *build* is a shell line of its build target."""
    debian = at / name / "debian"
    (debian / "source").mkdir(parents=True)
    (debian / "source/format").write_text("3.0 (native)\n")
    (debian / "changelog").write_text(
        f"{name} (1.0) trixie; urgency=medium\n\n  * First.\n\n -- A <a@example.org>  Sun, 01 Nov 2026 00:00:00 +0000\n"
    )
    build_depends = ", ".join(filter(None, ["debhelper-compat (= 13)", depends]))
    (debian / "control").write_text(
        f"Source: {name}\nSection: misc\nPriority: optional\nMaintainer: A <a@example.org>\n"
        f"Rules-Requires-Root: no\nStandards-Version: 4.7.2\nBuild-Depends: {build_depends}\n\n"
        f"Package: {name}\nArchitecture: {arch}\nDescription: fixture of the acceptance tests\n It does nothing.\n"
    )
    rules = debian / "rules"
    rules.write_text(f"#!/usr/bin/make -f\n%:\n\tdh $@\n\noverride_dh_auto_build:\n\t{build}\n")
    rules.chmod(0o755)
    return at / name


def pack_directory(source: Path) -> Path:
    """The .dsc of a directory that write_package made; nothing of it needs to be cleaned."""
    run(["dpkg-source", "--build", source], cwd=source.parent)
    (dsc,) = source.parent.glob(f"{source.name}_*.dsc")
    return dsc
