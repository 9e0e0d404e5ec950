"""deb-mock source."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import click

from deb_mock.cli.complete import complete_files
from deb_mock.cli.options import as_json, selection
from deb_mock.config import Choice
from deb_mock.dsc import Dsc, load_dsc
from deb_mock.plan import choose_for
from deb_mock.settings import Layer
from deb_mock.source import Source, find_source
from debcore.cli import print_json
from debcore.errors import ConfigError, Failure
from debcore.job import JobDirectory

log = logging.getLogger(__name__)


@click.command()
@click.argument("what", required=False, shell_complete=complete_files)
@selection
@click.option(
    "--resultdir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Where the source package goes; default: the directory you are in.",
)
@click.option("suffix", "--append-version", metavar="SUFFIX", help="Add a changelog entry with this version suffix.")
@click.option("--require-signature", is_flag=True, help="Refuse a source that no trusted key signed.")
@as_json
def command(
    *, what: str | None, preset: str | None, arch: str | None, settings: tuple[str, ...], resultdir: Path,
    suffix: str | None, require_signature: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make or fetch the source package of WHAT: a source directory (default: the one you are in) or git repository
    (URL or directory, with #BRANCH; both are cleaned and packed inside a root), a .dsc (path or URL), or
    NAME[=VERSION] of the archive.

    \b
    deb-mock source https://salsa.debian.org/debian/hello.git#debian/latest
    deb-mock source hostname --append-version=+local1 --resultdir out
    """
    from debroot.store import Store

    source = find_source(what or ".")
    signed = Layer("command line", {"source": {"require_signature": True}} if require_signature else {})
    choice = choose_for(source, preset=preset, arch=arch, settings=[*settings, signed])
    try:
        resultdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{resultdir} cannot be used: {error.strerror}", hint="choose another --resultdir") from error
    with Store.open().scratch() as scratch:
        dsc = _take(source, choice, scratch)
        if suffix:
            dsc = _append(dsc, choice, suffix, scratch)
        for path in dsc.all_files:
            if path.parent.resolve() != resultdir.resolve():
                shutil.copyfile(path, resultdir / path.name)
    made = load_dsc(resultdir / dsc.name)
    if as_json:
        print_json(describe(made))
    else:
        click.echo(str(made.path))


def describe(dsc: Dsc) -> dict[str, object]:
    """What `--json` prints: paths, sizes and hashes of the .dsc and its files."""
    directory = JobDirectory(dsc.path.parent.absolute())
    outputs = [directory.output(path.name) for path in dsc.all_files]
    return {
        "source": dsc.source,
        "version": dsc.version,
        "dsc": str(dsc.path.absolute()),
        "files": [
            {"path": str(directory.path / output.path), "size": output.size, "sha256": output.sha256}
            for output in outputs
        ],
    }


def _take(source: Source, choice: Choice, scratch: Path) -> Dsc:
    from deb_mock.acquire import acquire
    from deb_mock.interactive import make_dependencies
    from deb_mock.order import Order
    from deb_mock.pack import Tree, make_source
    from debroot.store import Store

    store = Store.open()
    acquired = acquire(store, source, choice, scratch)
    for note in acquired.notes:
        log.info("%s", note)
    found = acquired.found
    if not isinstance(found, Tree):
        return found
    layer, _ = make_dependencies(store, choice, found.fields)
    log.info("Cleaning and packing %s inside a %s root (%s)", found.source, choice.preset.name, choice.why)
    return make_source(store, layer, found, scratch, Order(source=source, choice=choice, directory=scratch))


def _append(dsc: Dsc, choice: Choice, suffix: str, scratch: Path) -> Dsc:
    from deb_mock.pack import SUFFIX, append_version
    from deb_mock.roots import find_sources, make_base
    from debroot.store import Store

    if not SUFFIX.fullmatch(suffix):
        raise ConfigError("--append-version", f"{suffix!r} is no version suffix", hint="such as +local1")
    store = Store.open()
    target = scratch / "appended"
    target.mkdir()
    return append_version(store, make_base(store, choice, find_sources(choice)), dsc, suffix, target)
