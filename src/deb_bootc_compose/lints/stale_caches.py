"""No cache that is checked by time: in an image every time is 1970 (S13)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root

PATTERNS = (
    "usr/share/icons/*/icon-theme.cache", "var/cache/ldconfig/*", "var/cache/fontconfig/*", "var/cache/man/*",
    "usr/lib/fontconfig/cache/*",
)  # fmt: skip


def check(root: Root) -> Iterator[str]:
    for pattern in PATTERNS:
        for path in sorted(root.path.glob(pattern)):
            yield f"/{path.relative_to(root.path)} is checked by time, and made again where it is needed"


LINT = Lint("stale-caches", "warning", "debian", "no cache is in the image that its reader takes for stale", check)
