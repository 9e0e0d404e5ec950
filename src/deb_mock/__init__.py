"""deb-mock builds Debian source packages in clean roots."""

from __future__ import annotations

from functools import cache


@cache
def tool_version() -> str:
    """Version of the installed distribution; "0" in a tree that was never installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("deb-bootc-ecosystem")
    except PackageNotFoundError:
        return "0"
