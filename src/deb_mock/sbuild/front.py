"""One call of `deb-mock sbuild`: from its options to an order, and from the result to what sbuild leaves behind."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from deb_mock.buildlog import BuildLog
from deb_mock.buildtype import add_relations
from deb_mock.order import Identity, Order
from deb_mock.outcome import describe, sbuild_status
from deb_mock.sbuild.records import place_results
from deb_mock.sbuild.translate import SHELL, has_shell, make_order
from deb_mock.source import DirectorySource, DscSource, find_source
from debcore.cli import print_json, printable, report
from debcore.errors import Failure
from debcore.job import Result, Status

log = logging.getLogger(__name__)

#: sbuild's exit statuses by its words for the status.
EXIT_STATUSES = {"successful": 0, "skipped": 0, "attempted": 2, "given-back": 3, "failed": 1}
#: Settings of sbuild that a user may have, all Perl code.
CONFIGURATION = ("~/.sbuildrc", "~/.config/sbuild/config.pl")


def run_front(what: str, given: Mapping[str, Any], *, as_json: bool) -> int:
    """Build *what* and return sbuild's exit status."""
    tell_about_configuration()
    try:
        if has_shell(given) and not sys.stdin.isatty():
            raise Failure(f"{SHELL} needs a terminal", hint="leave it out where nobody can answer")
        return _run(what, given, as_json=as_json)
    except Failure as failure:
        report(failure, prog="sbuild")
        return {4: 2, 5: 3, 6: 3, 7: 2}.get(failure.status, 1)


def tell_about_configuration() -> None:
    """Perl code that sbuild would run is never run; who relies on it must know."""
    named = os.environ.get("SBUILD_CONFIG")
    for name in (named,) if named else CONFIGURATION:
        if Path(name).expanduser().is_file():
            log.warning("%s is Perl code and is not executed: use options, or ~/.config/deb-mock/config.toml", name)


def _run(what: str, given: Mapping[str, Any], *, as_json: bool) -> int:
    name, mark, version = what.partition("_")
    if mark and not Path(what).exists() and re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) and not what.endswith(".dsc"):
        what = f"{name}={version}"
    source = find_source(what)
    place = Path(given["build_dir"] or ".").absolute()
    if isinstance(source, DirectorySource):
        if not given["build_dir"] and place.resolve().is_relative_to(source.path):
            place = source.path.parent
        order = make_order(source, given, place)
        source = _pack(order, source)
    if not place.is_dir():
        raise Failure(f"{place} is no directory", hint="--build-dir names one that exists")
    with TemporaryDirectory(prefix=".sbuild-", dir=place) as scratch:
        named = Path(what).absolute() if what.endswith(".dsc") and Path(what).exists() else None
        order = make_order(source, given, Path(scratch), named=named)
        order = replace(order, identity=Identity(job=named.name if named else what))
        result = _Call(order, given, place, as_json=as_json).run()
    return 1 if result.signed is False else EXIT_STATUSES[sbuild_status(result)]


def _pack(order: Order, source: DirectorySource) -> DscSource:
    """The source package of *source* beside it, as sbuild leaves it; made inside a root."""
    from deb_mock.interactive import make_dependencies
    from deb_mock.pack import make_source, read_directory
    from debroot.store import Store

    store, tree = Store.open(), read_directory(source)
    fields = add_relations(tree.fields, order.fields)
    layer, _ = make_dependencies(store, order.choice, fields, extra=order.extra, debs=order.debs)
    log.info("Cleaning and packing %s inside a %s root", source.path, order.choice.preset.name)
    with TemporaryDirectory(prefix="sbuild-pack-") as scratch:
        dsc = make_source(store, layer, tree, Path(scratch), order)
        target = source.path.parent
        for path in dsc.all_files:
            if path.name not in tree.orig:
                _place(path, target / path.name)
    return DscSource(replace(dsc, path=target / dsc.name))


def _place(path: Path, target: Path) -> None:
    """Copy across file systems, whole or not at all."""
    from debcore.path import replacing

    with path.open("rb") as file, replacing(target) as copy:
        while block := file.read(1 << 20):
            copy.write(block)


@dataclass(frozen=True)
class _Call:
    """A build on its way, with what sbuild shows and keeps of it."""

    order: Order
    given: Mapping[str, Any]
    place: Path
    as_json: bool

    def run(self) -> Result:
        from deb_mock.build import run_build
        from debroot.store import Store

        shown = self.given["nolog"] or self.given["verbose"] > self.given["quiet"]
        echo = _echo if shown and not self.as_json else None
        path = self.order.directory / "build.log"
        build_log = BuildLog(path, echo=echo)
        kept = None if self.given["nolog"] else self._keep(path)
        result = run_build(self.order, Store.open(), build_log)
        if kept is None and not self.given["nolog"]:
            kept = self._keep(path, result)
        result = place_results(
            result, self.order.directory, self.place, stem=self._stem(result), log=kept.name if kept else None
        )
        changes = [self.place / output.path for output in result.outputs if output.kind == "changes"]
        self._run_post_build(result, changes, kept)
        if self.as_json:
            print_json({**result.model_dump(mode="json"), "directory": str(self.place), "log": str(kept or "")})
        elif result.status is not Status.BUILT:
            click.echo("\n".join(describe(result, log=str(kept or "the log"))), err=True)
        return result

    def _keep(self, path: Path, result: Result | None = None) -> Path | None:
        """The log under sbuild's name, growing while the build runs; None while source and version are not known."""
        if result is None and not isinstance(self.order.source, DscSource):
            return None
        stem = self._stem(result)
        moment = datetime.now(UTC).strftime(self.given["log_filename_ts_format"] or "%Y-%m-%dT%H:%M:%SZ")
        kept = self.place / f"{stem}-{moment}.build".replace("/", "_")
        kept.unlink(missing_ok=True)
        kept.hardlink_to(path)
        link = self.place / f"{stem}.build"
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(kept.name)
        return kept

    def _stem(self, result: Result | None) -> str:
        """NAME_VERSION_ARCH."""
        source = self.order.source
        name: str = getattr(source, "name", "source")
        if isinstance(source, DscSource):
            name = f"{source.dsc.source}_{source.dsc.file_version}"
        elif result is not None and result.source and result.version:
            name = f"{result.source}_{result.version.rpartition(':')[2]}"
        return f"{name}_{self.order.choice.host_arch}"

    def _run_post_build(self, result: Result, changes: list[Path], kept: Path | None) -> None:
        stage = "post-build" if result.status is Status.BUILT else "post-build-failed"
        commands = self.order.commands
        if not commands.by_stage.get(stage):
            return
        with TemporaryDirectory(prefix="sbuild-commands-") as scratch:
            build_log = BuildLog(Path(scratch) / "log", echo=_echo)
            more = {"SBUILD_LOG_PATH": str(kept)} if kept else {}
            for path in changes:
                more |= {"c": str(path), "SBUILD_CHANGES": str(path)}
            try:
                commands.run(stage, build_log, more=more)
            finally:
                build_log.close()


def _echo(data: bytes) -> None:
    sys.stdout.write(printable(data.decode("utf-8", "replace").replace("\r", "\n")))
    sys.stdout.flush()
