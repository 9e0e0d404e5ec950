"""What the bootc of an image says of the image: `bootc container lint`, run with the tree as its root.

Debian has no bootc; where a source of the manifest brings one, its judgement counts as ours does. Its lints have the
names of ours, so that one waiver holds for both. Source: bootc, crates/lib/src/lints.rs, what `lint` prints.
"""

from __future__ import annotations

import re
from pathlib import Path

from deb_bootc_compose.lints.model import Finding, Level
from deb_bootc_compose.lints.registry import LINTS
from deb_bootc_compose.tree.files import shown
from debroot.emulate import find_emulation
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Store

BOOTC = "/usr/bin/bootc"
CLIENT = "bootc-client"
#: Where it finds the tree once more: as another root than the running one, which is what it is.
IMAGE = "/run/image"
ARGV = (BOOTC, "container", "lint", "--no-truncate", "--rootfs", IMAGE)
#: The names that both know.
COMMON = frozenset(lint.name for lint in LINTS if lint.origin == "bootc")
LEVELS: dict[str, Level] = {"Failed lint": "fatal", "Lint warning": "warning"}
_LINE = re.compile(r"(?P<kind>Failed lint|Lint warning): (?P<name>[^:\s]+): (?P<text>.*)")


def ask_bootc(store: Store, root: Path, *, arch: str) -> list[Finding]:
    """What the bootc of the tree at *root* (of the id map) finds in it. It must have one.

    No network, nothing of it stays; for another architecture than the host's in QEMU.
    """
    box = Sandbox(
        lowers=(root,), binds=(Bind(source=root, target=IMAGE),), emulation=find_emulation(store, arch),
    )  # fmt: skip
    done = run_in(box, ARGV, idmap=store.idmap, capture=True, check=False)
    return read_answer(done.status, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def read_answer(status: int, printed: str, said: str) -> list[Finding]:
    """Findings in what it printed. One that failed without naming a fatal lint is a finding of `bootc-client`."""
    found: list[tuple[Level, str, list[str]]] = []
    for line in printed.splitlines():
        if match := _LINE.fullmatch(line):
            found.append((LEVELS[match["kind"]], match["name"], [match["text"]]))
        elif line.startswith("  ") and found:
            found[-1][2].append(line.strip())
    findings = [_finding(level, name, " ".join(text)) for level, name, text in found]
    if status and not any(finding.level == "fatal" for finding in findings):
        last = (said.strip() or printed.strip() or "it said nothing").splitlines()[-1]
        findings.append(Finding(CLIENT, "fatal", shown(f"bootc container lint failed with status {status}: {last}")))
    return findings


def _finding(level: Level, name: str, text: str) -> Finding:
    if name in COMMON:
        return Finding(name, level, shown(f"the image's bootc: {text}"))
    return Finding(CLIENT, level, shown(f"the image's bootc: {name}: {text}"))
