"""/opt and /usr/local are state or part of the image, and nothing between (L8)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files

#: name → the only link that may stand there.
LINKS = {"opt": "var/opt", "usr/local": "../var/usrlocal"}


def check(root: Root) -> Iterator[str]:
    for name, target in LINKS.items():
        path = root.path / name
        if path.is_symlink():
            if files.read_link(path) != target:
                yield f"/{name} leads to {files.read_link(path)!r}, not {target!r}"
        elif files.exists(path) and not path.is_dir():
            yield f"/{name} is neither a directory nor a link to {target}"


LINT = Lint("state-layout", "fatal", "debian", "/opt and /usr/local are directories, or links into /var", check)
