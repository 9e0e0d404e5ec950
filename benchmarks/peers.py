"""aptly and reprepro as Debian ships them, with the same packages as ours: repositories that stay between runs."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.archive import ARCH, cache, changed, write_debs
from debcore.command import run
from debcore.deb822 import Stanza, parse_stanzas

SUITE = "trixie-local"
KEY = "bench@example.org"
#: .debs in one command line.
_MANY = 2000


class Peer(Protocol):
    name: str

    def ensure(self) -> float | None:
        """Make the repository with all packages unless it is there; seconds that its first publication took."""

    def publish(self, count: int) -> tuple[float, float]:
        """Add *count* packages in a higher version, and publish; seconds of both."""


class _Peer:
    name = ""

    def __init__(self, size: int, binaries: Sequence[Stanza]) -> None:
        self.place = cache() / f"{self.name}-{size}"
        self.binaries = binaries
        self._debs = cache() / "debs"
        self._env = {"GNUPGHOME": str(make_key())}

    def ensure(self) -> float | None:
        if (self.place / "whole").exists():
            return None
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        start = time.perf_counter()
        self._make([str(path) for path in write_debs(self._debs, self.binaries)])
        (self.place / "whole").touch()
        return time.perf_counter() - start

    def publish(self, count: int) -> tuple[float, float]:
        rounds = self.place / "rounds"
        round_ = 100 + len(rounds.read_text()) if rounds.exists() else 100
        new = changed(self.binaries, count, round_)
        debs = [str(path) for path in write_debs(self.place / f"new-{round_}", new)]
        with rounds.open("a") as file:
            file.write(".")
        took = self._publish(debs)
        with gzip.open(self._packages()) as listed:
            there = {(one["Package"], one["Version"]) for one in parse_stanzas(listed, where=self.name)}
        assert {(one["Package"], one["Version"]) for one in new} <= there, f"{self.name} has not published them"
        return took

    def _make(self, debs: Sequence[str]) -> None:
        raise NotImplementedError

    def _publish(self, debs: Sequence[str]) -> tuple[float, float]:
        raise NotImplementedError

    def _packages(self) -> Path:
        raise NotImplementedError

    def _timed(self, call: Callable[[], object]) -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start


class Aptly(_Peer):
    name = "aptly"
    _TUNED = ("-skip-contents", "-skip-bz2")

    def _make(self, debs: Sequence[str]) -> None:
        config = {
            "rootDir": str(self.place), "architectures": [ARCH], "gpgProvider": "gpg2", "downloadConcurrency": 2,
            "skipContentsPublishing": True,
        }  # fmt: skip
        (self.place / "aptly.conf").write_text(json.dumps(config))
        self._aptly("repo", "create", "-distribution", SUITE, "local")
        for start in range(0, len(debs), _MANY):
            self._aptly("repo", "add", "local", *debs[start : start + _MANY])
        self._aptly("publish", "repo", "-batch", f"-gpg-key={KEY}", *self._TUNED, "local")

    def _publish(self, debs: Sequence[str]) -> tuple[float, float]:
        return (
            self._timed(lambda: self._aptly("repo", "add", "local", *debs)),
            self._timed(lambda: self._aptly("publish", "update", "-batch", f"-gpg-key={KEY}", *self._TUNED, SUITE)),
        )

    def _aptly(self, *words: str) -> None:
        run(["aptly", f"-config={self.place}/aptly.conf", *words], extra_env=self._env)

    def _packages(self) -> Path:
        return self.place / f"public/dists/{SUITE}/main/binary-{ARCH}/Packages.gz"


class Reprepro(_Peer):
    """Adding exports at once; what that takes stands for both."""

    name = "reprepro"

    def _make(self, debs: Sequence[str]) -> None:
        (self.place / "conf").mkdir()
        (self.place / "conf/distributions").write_text(
            f"Codename: {SUITE}\nArchitectures: {ARCH}\nComponents: main\nSignWith: {KEY}\n"
            "DebIndices: Packages Release . .gz\n"
        )
        for start in range(0, len(debs), _MANY):
            self._reprepro("--export=never", "includedeb", SUITE, *debs[start : start + _MANY])
        self._reprepro("export", SUITE)

    def _publish(self, debs: Sequence[str]) -> tuple[float, float]:
        return (
            self._timed(lambda: self._reprepro("--export=never", "includedeb", SUITE, *debs)),
            self._timed(lambda: self._reprepro("export", SUITE)),
        )

    def _reprepro(self, *words: str) -> None:
        run(["reprepro", "--ignore=wrongarchitecture", "-b", str(self.place), *words], extra_env=self._env)

    def _packages(self) -> Path:
        return self.place / f"dists/{SUITE}/main/binary-{ARCH}/Packages.gz"


def make_key() -> Path:
    """A GnuPG home with a key without passphrase."""
    home = cache() / "gnupg"
    if not home.exists():
        home.mkdir(mode=0o700)
        env = {"GNUPGHOME": str(home), "PATH": os.environ["PATH"]}
        words = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", KEY, "ed25519", "sign", "never"]
        run(words, extra_env=env)
    return home
