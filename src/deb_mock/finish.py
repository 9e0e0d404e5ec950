"""What follows a build that succeeded, before its result is written: verification, signatures, provenance."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deb_mock.acquire import declare
from deb_mock.dsc import Dsc
from deb_mock.order import Order
from deb_mock.recorder import Recorder
from deb_mock.source import ArchiveSource
from debcore.errors import ConfigError, Failure
from debcore.job import JobDirectory, Lock, Output
from debcore.path import write_file
from debroot.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """The outputs in the end, and what result.json says about them; None: nobody asked."""

    outputs: tuple[Output, ...]
    reproducible: bool | None = None
    signed: bool | None = None


def finish_build(
    order: Order, store: Store, recorder: Recorder, lock: Lock, dsc: Dsc, outputs: Sequence[Output], begun_at: datetime
) -> Finished:
    """Errors: those of the second build, if one was asked for. A signer that fails is reported, not raised."""
    from deb_mock.provenance import write_provenance

    reproducible: bool | None = False if online_steps(order) else None
    reports: tuple[Output, ...] = ()
    if order.check is not None and not order.choice.settings.build.online:
        from deb_mock.reproduce import verify_reproducible

        with recorder.running("verify"):
            reproducible, reports = verify_reproducible(order, order.check, store, lock, dsc, outputs)
    if not order.sign:
        statement = write_provenance(order, dsc, lock, outputs, begun_at)
        return Finished((*outputs, *reports, statement), reproducible)
    # the statement has the hash of the signed .dsc
    outputs, signed = _sign(order, recorder, outputs)
    statement = write_provenance(order, dsc, lock, outputs, begun_at)
    envelopes, sealed = _seal(order, recorder, statement)
    return Finished((*outputs, *reports, statement, *envelopes), reproducible, signed and sealed)


def online_steps(order: Order) -> tuple[str, ...]:
    """Names of the declared steps that had the network. The archive's own source packages are none: apt checks that
    the archive signed their hashes."""
    fetched = None if isinstance(order.source, ArchiveSource) else declare(order.source)
    return (*([fetched] if fetched else []), *order.choice.settings.build.online)


def _sign(order: Order, recorder: Recorder, outputs: Sequence[Output]) -> tuple[Sequence[Output], bool]:
    from deb_mock.signing import CommandSigner, sign_results

    settings = order.choice.settings.sign
    if not settings.command:
        return outputs, True
    try:
        with recorder.running("sign"):
            certificates = [_read_key("keyring", settings.keyring)] if settings.keyring else []
            signer = CommandSigner(settings.command)
            return sign_results(order.directory, outputs, signer, certificates=certificates), True
    except Failure as error:
        _tell(error)
        return outputs, False


def _seal(order: Order, recorder: Recorder, statement: Output) -> tuple[tuple[Output, ...], bool]:
    """The envelope of the provenance, if somebody signs it, and whether all went well."""
    from deb_mock.dsse import DetachedCommand, sign_statement
    from deb_mock.provenance import envelope_name

    settings = order.choice.settings.sign
    if not settings.provenance:
        return (), True
    try:
        with recorder.running("sign-provenance"):
            key = _read_key("provenance_key", settings.provenance_key) if settings.provenance_key else None
            payload = (order.directory / statement.path).read_bytes()
            envelope = sign_statement(payload, DetachedCommand(settings.provenance), key=key)
            name = envelope_name(statement.path)
            write_file(order.directory / name, envelope)
            return (JobDirectory(order.directory).output(name),), True
    except Failure as error:
        _tell(error)
        return (), False


def _tell(error: Failure) -> None:
    log.error("%s", error)
    if error.hint:
        log.error("[%s]", error.hint)


def _read_key(setting: str, path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ConfigError(f"sign.{setting}", f"{path}: {error.strerror}") from error
