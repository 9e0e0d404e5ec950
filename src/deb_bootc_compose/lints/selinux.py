"""No SELinux policy: the image has no labels, and a policy would find none (P10)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root


def check(root: Root) -> Iterator[str]:
    for path in sorted(root.path.glob("etc/selinux/*/policy")):
        yield f"/{path.relative_to(root.path)}: files of the image bear no labels"


LINT = Lint("selinux", "fatal", "debian", "the image has no SELinux policy, for it has no labels", check)
