"""Source uploads made of bytes, and the key that signs them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from fastapi.testclient import TestClient

from deb_orchestrator.services import uploaders
from deb_orchestrator.web.api.app import make_app
from debcore.hub.doors import UploaderAsk
from debcore.openpgp import Signer, generate_key
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, make_dsc


@cache
def key_of(name: str) -> Signer:
    """The same key in all tests: making one takes a moment."""
    return generate_key(Path(mkdtemp(prefix="dput-"), "key"), f"{name} <{name}@example.org>")


@dataclass
class Sent:
    """A source upload. `files` without the .changes."""

    name: str
    version: str
    files: dict[str, bytes] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, name: str = "hello", version: str = "1.0", *, tarball: bytes = b"x", arch: str = "any") -> Sent:
        dsc = make_dsc(name, version, binaries=[name], arch=arch, tarball=tarball)
        return cls(name, version, {f"{name}_{version}.dsc": dsc, f"{name}_{version}.tar.xz": tarball})

    @property
    def changes(self) -> str:
        return f"{self.name}_{self.version}_source.changes"

    def text(self) -> bytes:
        def listed(algorithm: Callable[[bytes], str], extra: str = "") -> str:
            return "".join(f"\n {algorithm(data)} {len(data)}{extra} {name}" for name, data in self.files.items())

        suite = self.fields.get("Distribution", SUITE)
        entry = f"\n {self.name} ({self.version}) {suite}; urgency=low\n .\n   * x"
        fields = {
            "Format": "1.8", "Source": self.name, "Binary": self.name, "Architecture": "source",
            "Version": self.version, "Distribution": SUITE, "Maintainer": "T <t@example.org>", "Changes": entry,
            "Checksums-Sha256": listed(lambda data: hashlib.sha256(data).hexdigest()),
            "Files": listed(lambda data: hashlib.md5(data).hexdigest(), " misc optional"),
        }  # fmt: skip
        return "".join(f"{key}: {value}\n" for key, value in {**fields, **self.fields}.items() if value).encode()

    def signed(self, by: str = "alice") -> bytes:
        return key_of(by).sign_inline(self.text())


@dataclass
class Door:
    """The door of a farm, and alice's path through it."""

    farm: Farm
    client: TestClient
    path: str

    @classmethod
    def open(cls, farm: Farm) -> Door:
        made = uploaders.add_uploader(
            farm.hub, ADMIN, UploaderAsk(name="alice", certificate=key_of("alice").public_key())
        )
        client = TestClient(make_app(farm.hub), base_url="http://127.0.0.1")
        return cls(farm, client, f"/upload/{made.secret}/{SUITE}")

    def put(self, name: str, data: bytes) -> Any:
        return self.client.put(f"{self.path}/{name}", content=data)

    def send(self, sent: Sent, *, changes: bytes | None = None) -> Any:
        """As dput does: the files, then the .changes. The answer to the .changes."""
        for name, data in sent.files.items():
            assert self.put(name, data).status_code == 201
        return self.put(sent.changes, sent.signed() if changes is None else changes)
