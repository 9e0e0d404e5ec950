"""Telling the hub of a compose, so that people see there which builds are in which images.

The hub is told when a compose has ended, well or not. What goes wrong is a line in the log: it never costs a compose.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.embedded import HubAddress
from deb_bootc_compose.report.gather import ComposeFacts, VariantFacts, load_facts
from debcore.errors import Failure
from debcore.http import HttpFailure
from debcore.hub import composes as wire
from debcore.hub.client import Client
from debcore.hub.compose_client import ComposeClient
from debcore.hub.credential import load_token
from debcore.hub.upkeep_client import UpkeepClient

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Client)

MAX_TEXT = 1000  #: characters, as the hub bounds them


def tell_hub(directory: ComposeDirectory, find: Callable[[], HubAddress | None], *, status: Status) -> None:
    """Say what became of the compose to the hub that *find* gives; one that is away is a warning."""
    try:
        if (address := find()) is None:
            return
        ask = make_ask(load_facts(directory, status=status.value), place=str(directory.path))
        with _client(ComposeClient, address) as client:
            told = client.put_compose(directory.id, ask)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Failure) as error:
        log.warning("%s: the hub was not told: %s", directory.id, error)
        return
    log.info("the hub knows of %s: %d of its %d packages were built there", told.id, told.builds, told.packages)


def forget(directory: ComposeDirectory, find: Callable[[], HubAddress]) -> None:
    """The compose is about to be removed: the hub keeps nothing for it. A hub that is away is a warning."""
    pin = pin_name(directory)
    try:
        address = find()
        with _client(ComposeClient, address) as client, suppress_missing():
            client.remove_compose(directory.id)
        with _client(UpkeepClient, address) as upkeep, suppress_missing():
            upkeep.remove_pin(pin)
    except (OSError, Failure) as error:
        hint = f"tell it later: deb-orchestrator compose remove {directory.id}; deb-orchestrator pin remove {pin}"
        log.warning("%s: the hub does not forget it: %s [%s]", directory.id, error, hint)


def pin_name(directory: ComposeDirectory) -> str:
    """Of the hub's pin on what the compose's lock names."""
    return re.sub(r"[^a-z0-9.+-]", "-", f"compose-{directory.path.name}".lower())[:64]


@contextmanager
def suppress_missing() -> Iterator[None]:
    """What is not there need not be removed."""
    try:
        yield
    except HttpFailure as failure:
        if failure.code != 404:
            raise


def _client(kind: type[C], address: HubAddress) -> C:
    token = load_token(address.token_file) if address.token_file else None
    return kind(address.url, token, ca=address.ca, tries=3)


def make_ask(facts: ComposeFacts, *, place: str = "") -> wire.ComposeAsk:
    """Pure. Errors: ValueError (pydantic's) if something is longer than the hub takes."""
    return wire.ComposeAsk(
        type=facts.kind["type"], label=facts.kind["label"] or "", status=facts.status,
        release=f"{facts.release['name']} {facts.release['version']}", suite=facts.suite, place=place,
        variants=tuple(_variant(variant) for variant in facts.variants),
        faults=tuple(
            wire.ComposeFault(task=task, message=_text(message), hint=_text(hint))
            for task, message, hint in facts.errors[:64]
        ),
    )  # fmt: skip


def _variant(facts: VariantFacts) -> wire.ComposeVariant:
    name, _, arch = facts.key.rpartition(".")
    return wire.ComposeVariant(
        name=name, arch=arch, ref=facts.ref if facts.commit else "", commit=facts.commit.get("commit", ""),
        container=facts.container.get("name") or "", digest=facts.container.get("digest", ""), tags=facts.tags,
        disks=tuple(_disks(facts.disks)),
        gates=tuple(wire.ComposeGate(name=g.name, verdict=g.verdict, seconds=g.seconds) for g in facts.gates),
        packages=tuple(
            wire.ComposePackage(
                name=row.package.name, version=row.package.version, arch=row.package.arch,
                source=row.package.source or row.package.name, sha256=row.package.sha256,
            )
            for row in facts.packages
        ),
    )  # fmt: skip


def _disks(disks: Sequence[Any]) -> list[wire.ComposeDisk]:
    return [
        wire.ComposeDisk(path=one["path"], type=one["type"], sha256=one["sha256"], size=one["size"]) for one in disks
    ]


def _text(text: str) -> str:
    """As long as the hub takes, without NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_TEXT]
