"""What maintainer scripts wrote down about /usr is in the image, not in /var (S5)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import files

#: Below /var; each is a link to usr/lib/sysimage, or missing.
REGISTRIES = (
    "cache/debconf", "lib/ucf", "lib/pam", "lib/systemd/deb-systemd-helper-enabled",
    "lib/systemd/deb-systemd-user-helper-enabled",
)  # fmt: skip


def check(root: Root) -> Iterator[str]:
    for name in REGISTRIES:
        path = root.path / "var" / name
        if not files.exists(path):
            continue
        kept = "usr/lib/sysimage/" + name.rpartition("/")[2]
        if not path.is_symlink() or not files.read_link(path).endswith(kept) or files.read_link(path).startswith("/"):
            yield f"/var/{name} is no relative link to /{kept}: packages of a derived image would not find it"


LINT = Lint("package-registries", "fatal", "debian", "registries of packages are in /usr/lib/sysimage", check)
