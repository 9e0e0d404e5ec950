"""Asking an archive whether its Release files are still those that apt has: cheaper than starting apt to hear so.

A hint, and never more: whatever is not plainly unchanged (another byte, an error, a date that has passed, a proxy that
is not simple) goes to apt, which alone fetches, verifies and explains.
"""

from __future__ import annotations

import http.client
import logging
import time
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from debcore.job import AptSource
from debroot.sources import list_name, parse_head

log = logging.getLogger(__name__)

#: Seconds for one answer. A mirror that hangs is apt's to report.
TIMEOUT = 10.0
#: A Release file above this (bytes) is not compared.
MAX_RELEASE = 8 * 1024 * 1024

#: apt's names of the proxies that urllib understands as well: apt-transport-http(1).
PROXIES = {"Acquire::http::Proxy": "http", "Acquire::https::Proxy": "https"}


def is_unchanged(sources: Sequence[AptSource], lists: Path, proxies: Mapping[str, str]) -> bool:
    """True if every InRelease in *lists* (of an update that succeeded) is what its archive has now, and still valid."""
    wanted = [(source, uri, suite) for source in sources for uri in source.uris for suite in source.suites]
    opener = make_opener(proxies)
    if opener is None or not wanted:
        return False
    stored = {list_name(uri, suite): uri_of_release(uri, suite) for _, uri, suite in wanted}
    if not all(is_valid(lists / f"{list_name(uri, suite)}_InRelease", source) for source, uri, suite in wanted):
        return False
    with ThreadPoolExecutor(max_workers=8) as pool:
        same = pool.map(lambda name: is_same(opener, stored[name], lists / f"{name}_InRelease"), stored)
        return all(list(same))


def uri_of_release(uri: str, suite: str) -> str:
    """Source: sources.list(5): a suite that ends with / is a path below the URI and has no dists."""
    where = suite.rstrip("/") if suite.endswith("/") else f"dists/{suite}"
    return "/".join(part for part in (uri.rstrip("/"), where.lstrip("./"), "InRelease") if part)


def is_valid(release: Path, source: AptSource) -> bool:
    """There is one, and its Valid-Until has not passed (unless the source does not ask)."""
    try:
        with release.open(encoding="utf-8", errors="replace") as lines:
            until = parse_head(lines).get("valid-until")
        if until is None or not source.check_valid_until:
            return True
        return parsedate_to_datetime(until).timestamp() > time.time()
    except (OSError, ValueError):
        return False


def is_same(opener: urllib.request.OpenerDirector, uri: str, release: Path) -> bool:
    """True if *uri* is byte for byte what *release* holds."""
    try:
        known = release.read_bytes()
        scheme = urlsplit(uri).scheme
        if scheme in ("file", "copy"):
            return Path(unquote(urlsplit(uri).path)).read_bytes() == known
        if scheme not in ("http", "https"):
            return False
        # never conditional: HTTP's times have seconds, and an archive may change twice in one
        with opener.open(uri, timeout=TIMEOUT) as answer:
            return len(known) <= MAX_RELEASE and bool(answer.read(MAX_RELEASE + 1) == known)
    except (OSError, ValueError, http.client.HTTPException) as error:
        log.debug("%s: %s; apt is asked", uri, error)
        return False


def make_opener(proxies: Mapping[str, str]) -> urllib.request.OpenerDirector | None:
    """None if apt's proxies are set in a way that is apt's alone (per host, detected, SOCKS)."""
    simple: dict[str, str] = {}
    for key, value in proxies.items():
        name = next((scheme for known, scheme in PROXIES.items() if known.lower() == key.lower()), None)
        if name is None or not value.startswith(("http://", "https://")):
            return None
        simple[name] = value
    return urllib.request.build_opener(urllib.request.ProxyHandler(simple))
