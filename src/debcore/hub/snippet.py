"""What to paste so that apt uses a suite."""

from __future__ import annotations

from debcore.hub.model import Suite


def apt_snippet(suite: Suite) -> str:
    """A deb822 source with the key inside. Source: sources.list(5), Signed-By."""
    key = "".join(f" {line or '.'}\n" for line in suite.key.strip().splitlines())
    return (
        f"Types: deb deb-src\nURIs: {suite.apt_uri}\nSuites: {suite.name}\n"
        f"Components: {' '.join(suite.components)}\nSigned-By:\n{key}"
    )
