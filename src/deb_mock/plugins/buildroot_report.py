"""Write `buildroot.json` beside the results: the layers of the root, and where each of its packages came from.

It is for people and their scripts; what makes the same root again is lock.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from deb_mock import plugin

#: Where packages came from that no archive has: this host's --extra-package, a chain's other members.
LOCAL = "this host"


class Plugin(plugin.Plugin):
    """Has no options."""

    api: ClassVar[int] = 1

    def postdeps(self, build: plugin.Build) -> None:
        report = {
            "preset": build.preset,
            "suite": build.suite,
            "architecture": build.arch,
            "layers": [
                {"id": layer.id, "kind": "dependencies" if number else "base", "packages": len(layer.packages)}
                for number, layer in enumerate(build.layers)
            ],
            "packages": sorted(describe(build), key=lambda row: (row["name"], row["architecture"])),
        }
        build.keep("buildroot.json", json.dumps(report, indent=1).encode() + b"\n")


def describe(build: plugin.Build) -> Iterator[dict[str, Any]]:
    """Each package of the finished root; `layer` counts from the base, which is 0."""
    assert build.lock is not None
    there = {(package.name, package.arch, package.version) for package in build.lock.packages}
    for number, layer in enumerate(build.layers):
        for package in layer.packages:
            if (package.name, package.arch, package.version) in there:
                yield {
                    "name": package.name,
                    "version": package.version,
                    "architecture": package.arch,
                    "source": package.source or package.name,
                    "source_version": package.source_version or package.version,
                    "size": package.size,
                    "sha256": package.sha256,
                    "origin": find_origin(package),
                    "layer": number,
                }


def find_origin(package: plugin.Package) -> str:
    """The archive that *package* was fetched from, without user, password and scheme."""
    if not package.uri:
        return LOCAL
    parts = urlsplit(package.uri)
    path = unquote(parts.path).removesuffix(package.filename).rstrip("/")
    return f"{parts.netloc.rpartition('@')[2]}{path}" if parts.netloc else f"{parts.scheme}:{path}"
