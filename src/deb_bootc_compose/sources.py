"""Where packages come from: the host's Debian mirror or the sources that the manifest names, and the hub's suite."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deb_bootc_compose import past
from debcore.errors import ConfigError, Failure
from debcore.hub.model import Suite
from debcore.job import AptSource
from debroot.sources import checks_valid_until, find_host_sources


def archive_sources(params: Mapping[str, Any]) -> tuple[AptSource, ...]:
    """*params*: suite, security ("host" or "none"), updates, sources (of the manifest), snapshots (ids by source).

    Errors: Failure if security updates would silently be missing.
    """
    suite, security = params["suite"], params["security"] == "host"
    snapshots, service = params.get("snapshots", {}), past.service_of(params)
    if not params["sources"]:
        try:
            found = find_host_sources(suite, security=security, updates=params["updates"])
            return past.turn_host(found, snapshots.get(past.HOST, ""), service)
        except Failure as error:
            if not security:
                raise
            hint = f"{error.hint}; or say `security: none` in the manifest" if error.hint else ""
            raise Failure(str(error), hint=hint or "say `security: none` in the manifest, or name `sources`") from error
    made = tuple(past.turn(_source(source), snapshots.get(source["name"], ""), service) for source in params["sources"])
    if security and not any(suite_.partition("/")[0].endswith("-security") for s in made for suite_ in s.suites):
        raise Failure(
            f"no source of the manifest has {suite}-security",
            hint=f"add one with suites: [{suite}-security], or say `security: none`",
        )
    return made


def _source(source: Mapping[str, Any]) -> AptSource:
    key = None
    if source["signed-by"] is not None:
        path = Path(source["signed-by"])
        try:
            key = _armor(path.read_bytes())
        except OSError as error:
            raise ConfigError(str(path), f"cannot be read: {error.strerror}", hint="name a keyring file") from error
    return AptSource(
        uris=tuple(source["uris"]), suites=tuple(source["suites"]), components=tuple(source["components"]),
        signed_by=key, trusted=source["trusted"], pin=source["pin"],
        check_valid_until=checks_valid_until(),
    )  # fmt: skip


def _armor(keyring: bytes) -> str:
    """An apt keyring file as text; armoured ones stay as they are. Source: RFC 9580, 6.2."""
    if keyring.lstrip().startswith(b"-----BEGIN"):
        return keyring.decode("ascii", "strict")
    body = base64.b64encode(keyring).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN PGP PUBLIC KEY BLOCK-----", "", *lines, "-----END PGP PUBLIC KEY BLOCK-----", ""])


def hub_source(suite: Suite, *, pin: int) -> AptSource:
    return AptSource(
        uris=(suite.apt_uri,), suites=(suite.name,), components=suite.components, signed_by=suite.key or None, pin=pin
    )
