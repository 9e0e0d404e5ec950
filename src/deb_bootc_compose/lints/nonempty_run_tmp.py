"""/run and /tmp are empty: they are mounts of the running machine (L4)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root

#: Left by container builders; allowed with the directories above it if nothing else is there.
STUB = "run/systemd/resolve/stub-resolv.conf"


def check(root: Root) -> Iterator[str]:
    names = [e.name for top in ("run", "tmp") for e in root.below(top)]
    allowed = {STUB, *(STUB.rsplit("/", n)[0] for n in (1, 2))} if STUB in names else set()
    for name in names:
        if name not in allowed:
            yield f"/{name} will be hidden"


LINT = Lint("nonempty-run-tmp", "warning", "bootc", "/run and /tmp are empty", check)
