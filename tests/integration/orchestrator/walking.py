"""Walks a published suite over HTTP as apt does: signature, every index by hash, every package that they list."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from debcore.aptrepo import parse_release
from debcore.deb822 import parse_stanza
from debcore.errors import Failure
from debcore.http import Http
from debcore.openpgp.verify import verify_inline

#: Bytes of any file here, at most.
MOST = 64 * 1024 * 1024


def walk(url: str, suite: str, key: str, inrelease: bytes) -> tuple[int, Counter[tuple[str, str]]]:
    """Generation, and (package, version) of all that this InRelease leads to, each file fetched and compared."""
    found: Counter[tuple[str, str]] = Counter()
    verified = verify_inline(inrelease, [key], where=f"InRelease of {suite}")
    release, files = parse_release(verified.payload)
    with Http(url) as http:
        for file in files:
            directory = file.path.rpartition("/")[0]
            if not file.path.endswith(".gz"):  # the plain forms are listed, and not kept
                continue
            data = http.call("GET", f"/apt/dists/{suite}/{directory}/by-hash/SHA256/{file.sha256}", max_size=MOST).body
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (file.sha256, file.size), file.path
            if not file.path.endswith("/Packages.gz"):
                continue
            for text in gzip.decompress(data).decode().split("\n\n"):
                if not text.strip():
                    continue
                one = parse_stanza(text)
                deb = http.call("GET", f"/apt/{one['Filename']}", max_size=MOST).body
                assert (hashlib.sha256(deb).hexdigest(), str(len(deb))) == (one["SHA256"], one["Size"]), one["Package"]
                found[one["Package"], one["Version"]] += 1
    return release.generation, found


@dataclass
class Watcher:
    """Samples what any of the hubs serves, in turn, until it is stopped: it never goes back."""

    urls: Sequence[str]
    suite: str
    served: list[bytes] = field(default_factory=list)  #: each InRelease that was seen, once, in the order of its coming
    samples: int = 0

    def run(self, stop: threading.Event) -> None:
        with ExitStack() as stack:
            hubs = [stack.enter_context(Http(url, tries=1, timeout=5)) for url in self.urls]
            while not stop.wait(0.1):
                for hub in hubs:
                    with suppress(Failure):
                        text = hub.call("GET", f"/apt/dists/{self.suite}/InRelease").body
                        self.samples += 1
                        if not self.served or self.served[-1] != text:
                            self.served.append(text)

    def check(self, url: str, key: str) -> None:
        """What was served was valid, every generation of it, and none came after a later one."""
        assert self.samples > 20
        generations = [walk(url, self.suite, key, text)[0] for text in self.served]
        assert generations == sorted(set(generations)), "the served generation went back"
