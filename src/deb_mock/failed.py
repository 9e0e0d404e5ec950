"""The root of a build that failed: a shell in it at once, or it is kept, to be looked at and gone on in later."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from deb_mock.preset import find_preset
from deb_mock.settings import Resolved, Settings
from deb_mock.surroundings import STANDARD
from debcore.errors import ConfigError, Failure, HostFailed
from debcore.job import Limits
from debroot.emulate import find_emulation
from debroot.gc import is_used
from debroot.kept import Kept, find_kept, in_use, keep_root, open_kept, remove_kept
from debroot.store import Store

if TYPE_CHECKING:
    from deb_mock.dsc import Dsc
    from deb_mock.order import Order
    from deb_mock.workspace import Workspace

log = logging.getLogger(__name__)

#: Where a build can go on in the kept root. `unpack`: with the source as it was, and all changes to the tree are gone.
#: `clean`: with the tree as it is, from debian/rules clean. `build`: without cleaning, where make finds itself.
Stage = Literal["unpack", "clean", "build"]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class Again:
    """A build that goes on in a kept root."""

    kept: Kept
    stage: Stage


@contextmanager
def watching(order: Order, space: Workspace, dsc: Dsc, tree: str) -> Iterator[None]:
    """When the block fails: the shell that was asked for, then the root is kept if that was asked for."""
    try:
        yield
    except Failure as error:
        if order.debug:
            _open_shell(order, space, dsc, tree, error)
        if order.choice.settings.build.keep_failed and order.again is None:
            _keep(order, space, dsc, tree, error)
        raise


def _open_shell(order: Order, space: Workspace, dsc: Dsc, tree: str, error: Failure) -> None:
    from deb_mock.attach import SHELL, attach
    from deb_mock.roots import processors

    log.error("%s %s failed: %s", dsc.source, dsc.version, error)
    log.info(
        "A shell in its root, as root; the build's user is %s. Leave it to end the build.", order.surroundings.user
    )
    env = {"DEB_BUILD_OPTIONS": order.build_options(processors())}
    attach(space, SHELL, root=True, tty=True, cwd=find_place(space, tree), env=env)


def find_place(space: Workspace, tree: str) -> str:
    """The source tree, if it was unpacked."""
    there = space.run(["test", "-d", tree], check=False).status == 0
    return tree if there else space.surroundings.directory


def _keep(order: Order, space: Workspace, dsc: Dsc, tree: str, error: Failure) -> None:
    if order.surroundings != STANDARD or order.addition:
        log.warning("The root is not kept: it is one of a rebuild or of a binNMU")
        return
    about = {
        "source": dsc.source,
        "version": dsc.version,
        "dsc": dsc.name,
        "tree": tree,
        "error": str(error),
        "directory": str(order.directory),
        "distribution": order.distribution,
        "preset": order.choice.preset.name,
        "settings": order.choice.settings.model_dump(mode="json"),
    }
    try:
        keep_root(space.store, space.layer, space.upper, space.build, about)
    except HostFailed as failure:
        log.warning("%s [%s]", failure, failure.hint)
        return
    log.info("The root is kept. Look: deb-mock shell --last-failed. Go on: deb-mock resume --from build")


def choose_kept(store: Store, directory: Path | None = None) -> Kept:
    """The newest kept root, or that of the build whose results are in *directory*.

    Errors: Failure if there is none, or it is in use.
    """
    wanted = None if directory is None else str(directory.absolute())
    for kept in find_kept(store):
        if wanted in (None, kept.about["directory"]):
            if is_used(kept.path):  # said before anything is done for it
                raise in_use()
            return kept
    where = f" for {directory}" if directory else ""
    hint = "roots are kept if the build was asked to: --keep-failed, or build.keep_failed = true in config.toml"
    raise Failure(f"no root of a failed build is kept{where}", hint=hint)


@contextmanager
def open_failed(store: Store, kept: Kept, *, limited_by: Order | None = None) -> Iterator[Workspace]:
    """The workspace as the build left it. *limited_by*: whose limits hold."""
    from deb_mock.workspace import Workspace

    limits = limited_by.limits if limited_by else Limits()
    hardened = limited_by is not None and limited_by.choice.settings.build.hardened
    with open_kept(store, kept) as (layer, upper, build), store.using(layer):
        emulation = find_emulation(store, layer.arch)
        yield Workspace(store, layer, upper, build, limits, hardened, emulation=emulation)


@contextmanager
def opened_again(order: Order, store: Store) -> Iterator[tuple[Workspace, Dsc]]:
    """The kept root of *order*, and the .dsc that its build was made from. After a success the root has served and
    goes. Errors: Failure."""
    assert order.again is not None
    kept = order.again.kept
    with open_failed(store, kept, limited_by=order) as space, store.scratch() as scratch:
        yield space, _load_kept_dsc(space, kept, scratch)
    remove_kept(store, kept)


def plan_again(kept: Kept, stage: Stage, *, debug: bool = False) -> Order:
    """The order of the failed build, to go on from *stage*. Errors: ConfigError if what was written down is damaged."""
    from deb_mock.config import Choice
    from deb_mock.order import Order
    from deb_mock.source import ArchiveSource

    about: dict[str, Any] = dict(kept.about)
    try:
        settings = Settings.model_validate(about["settings"])
        choice = Choice(find_preset(about["preset"]), Resolved(settings, {}), "as the failed build")
        return Order(
            source=ArchiveSource(about["source"], about["version"]),
            choice=choice,
            directory=Path(about["directory"]),
            distribution=about["distribution"],
            timeout=settings.limits.time,
            again=Again(kept, stage),
            debug=debug,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(str(kept.path), f"is damaged: {error}", hint="build it again") from error


def _load_kept_dsc(space: Workspace, kept: Kept, scratch: Path) -> Dsc:
    """The .dsc that the failed build was made from. Errors: Failure if the build has removed it."""
    from deb_mock.dsc import load_dsc
    from debcore.path import check_file_name

    name = check_file_name(kept.about["dsc"], where=str(kept.path))
    if space.get([name], scratch) != [name]:
        raise Failure(f"{name} is gone from the root", hint="build it again")
    return load_dsc(scratch / name)
