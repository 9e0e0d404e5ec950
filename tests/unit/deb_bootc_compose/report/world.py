"""A small compose directory as its tasks would have left it, without running any."""

from __future__ import annotations

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from deb_bootc_compose.compose import Options, start_compose
from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.journal import Journal
from deb_bootc_compose.lock import Lock, LockedHub, LockedPackage, LockedVariant, write_lock
from deb_bootc_compose.manifest import load_manifest

MANIFEST = """\
schema: deb-bootc-compose/1
release: {name: "Example", short: Example, version: "13"}
compose: {type: test, label: RC-1.0}
suite: trixie
packages: [systemd-sysv]
variants:
  server:
    arches: [amd64]
    ref: example/trixie/amd64/server
    outputs:
      container: {name: example/server}
      images: [{type: raw}]
    tests: [lint, boot]
"""
KEY = "server.amd64"
COMMIT, DIGEST = "c" * 64, "sha256:" + "d" * 64


def locked(name: str, version: str = "1", *, size: int = 1000, source: str | None = None) -> LockedPackage:
    digest = hashlib.sha256(f"{name}{version}".encode()).hexdigest()
    return LockedPackage(name=name, version=version, arch="amd64", sha256=digest, size=size, source=source)


PACKAGES = (locked("libc6", "2.41-12", size=3_000_000, source="glibc"), locked("bash", "5.2", size=1_500_000))
BUILT = locked("site-agent", "1.0+local1", size=5_000)


def make_lock(*packages: LockedPackage, hub: tuple[LockedPackage, ...] = (BUILT,)) -> Lock:
    variant = LockedVariant(asked=("systemd-sysv",), base=packages or PACKAGES, archive=(), hub=hub)
    return Lock(
        schema="deb-bootc-compose-lock/1", suite="trixie", timestamp=1_795_785_350, version="13.20261127.1315",
        releases={}, hub=LockedHub(suite="trixie-local", event=7, generation=2), variants={KEY: variant},
    )  # fmt: skip


def values(layers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    images = [
        {"path": "compose/server/amd64/images/x.raw", "type": "raw", "sha256": "e" * 64, "size": 2_147_483_648,
         "virtual_size": 2_147_483_648, "deployment": "/ostree/x"}
    ]  # fmt: skip
    return {
        "lock": {"content": "f" * 64, "version": "13.20261127.1315", "timestamp": 1_795_785_350},
        f"tree.{KEY}": {"id": "1" * 64, "kver": "6.12-amd64", "suite": "trixie", "features": []},
        f"lint.{KEY}": {"waived": ["bootc-client"]},
        f"commit.{KEY}": {"commit": COMMIT, "repo": "compose/server/amd64/ostree/repo",
                          "ref": "example/trixie/amd64/server", "version": "13", "root": [], "key": "ABCD"},
        f"container.{KEY}": {"digest": DIGEST, "path": "compose/server/amd64/oci", "size": 33_000_000,
                             "layers": layers, "name": "example/server"},
        f"replay.{KEY}": {"equal": True, "layers": 2},
        f"image.{KEY}": {"images": images},
        f"boot.{KEY}": {"state": "running", "kernel": "6.12-amd64", "packages": {"site-agent": "1.0+local1"},
                        "secure_boot": True, "image": "compose/server/amd64/images/x.raw"},
    }  # fmt: skip


LAYERS = [
    {"name": "kernel", "digest": "sha256:" + "2" * 64, "size": 30_000_000},
    {"name": "files", "digest": "sha256:" + "3" * 64, "size": 3_000_000},
]


def make_compose(
    directory: Path, *, lock: Lock | None = None, layers: list[dict[str, Any]] | None = None, fail: str = "",
    message: str = "it broke",
) -> ComposeDirectory:  # fmt: skip
    """With *fail*, that task fails with *message* and none runs after it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "compose.yaml").write_text(MANIFEST)
    compose = start_compose(load_manifest(directory), directory / "composes", Options())
    write_lock(compose.lock_path, lock or make_lock())
    journal = Journal(compose.journal_path)
    journal.append("compose.started", id=compose.id, pid=1)
    for task, value in values(LAYERS if layers is None else layers).items():
        journal.append("task.started", task=task, identity="0" * 64)
        if task == fail:
            journal.append(
                "task.failed", task=task, identity="0" * 64, seconds=1.5, error={"message": message, "hint": "mend it"}
            )
            break
        journal.append(
            "task.finished", task=task, identity="0" * 64, seconds=2.0, result={"value": value, "files": []}, files=[]
        )
    journal.append("compose.ended", status="DOOMED" if fail else "FINISHED")
    journal.close()
    index = {"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "latest"}}]}
    layout = compose.output / "server/amd64/oci"
    layout.mkdir(parents=True)
    (layout / "index.json").write_text(json.dumps(index))
    boot = {"timing": {"boot": 21.4, "initrd": None}}
    (compose.logs / f"boot.{KEY}.json").write_text(json.dumps(boot))
    compose.set_status(Status.DOOMED if fail else Status.FINISHED)
    return compose


class Seen(HTMLParser):
    """What a browser would make of a page: its elements, their attributes, its text."""

    VOID = frozenset({"meta"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> ends another element"

    def handle_data(self, data: str) -> None:
        self.text += data


#: All that a page may hold: nothing that runs, loads, or sends.
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "h1", "h2", "h3", "p",
    "span", "div", "b", "small", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "line",
    "text", "code", "pre", "details", "summary", "a",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "name", "content", "http-equiv", "class", "title", "role", "aria-label", "aria-hidden",
    "tabindex", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "text-anchor", "href", "rel",
}  # fmt: skip


def look(page: str) -> Seen:
    """The page as seen, checked to be inert and well nested."""
    seen = Seen(page)
    assert not seen.open
    assert seen.tags <= TAGS
    assert seen.attributes <= ATTRIBUTES
    assert all(target.startswith(("http://", "https://")) for target in seen.targets)
    return seen
