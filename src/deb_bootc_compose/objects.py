"""A commit whose files are mostly those of the compose before: what is packed there is linked, not packed again.

Packing all files of a tree takes ostree four times as long as hashing them. So the tree is committed into a scratch
repository that packs nothing; objects that the earlier repository has, all of them checked meanwhile, are linked from
there; ostree packs the rest. Checksums do not depend on the way.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from deb_bootc_compose.ostree import Commit, Repository, commit, fsck, sign_commit
from deb_bootc_compose.tree.make import Tree
from debcore.errors import CommandFailed, Failure
from debcore.openpgp import Signer
from debroot.memory import open_scratch
from debroot.sandbox import Bind

log = logging.getLogger(__name__)

#: Bytes of a scratch repository for each of the packages' .debs, which are packed and lack the initramfs.
SPREAD = 8

#: Names of objects: in a repository that packs files, and in one that does not.
PACKED, PLAIN = ".filez", ".file"


def can_link(repository: Repository, earlier: Path) -> bool:
    """Objects belong to ids inside: only root may link them, and only within a file system."""
    return os.geteuid() == 0 and earlier.stat().st_dev == repository.path.stat().st_dev


def commit_growing(
    repository: Repository,
    tree: Tree,
    earlier: Path,
    *,
    ref: str,
    version: str,
    timestamp: int,
    parent: str,
    signer: Signer | None,
    metadata: dict[str, str],
) -> Commit:
    """What `ostree.commit` makes, with the objects of the repository *earlier*; those are checked, as are new ones.

    If one there is damaged, none is taken. Errors: Failure.
    """
    before = Repository(repository.store, repository.tools, earlier)
    required = SPREAD * sum(package.size for package in tree.packages)
    with open_scratch(repository.store, required=required) as place, ThreadPoolExecutor(1) as beside:
        sound = beside.submit(_is_sound, before)
        plain = Repository(repository.store, repository.tools, place)
        plain.run("init", "--mode=bare")
        made = commit(
            plain, tree, ref=ref, version=version, timestamp=timestamp, parent=parent, metadata=metadata
        )  # fmt: skip
        linked = sum(link_objects(list_objects(place), earlier, repository)) if sound.result() else 0
        log.info("%d objects are those of %s", linked, earlier)
        source = Bind(source=place, target="/plain")
        # What is pulled from an untrusted repository is hashed as it is written.
        repository.run("pull-local", "--disable-fsync", "--untrusted", "/plain", ref, binds=(source,))
    repository.sync()
    if signer is not None:
        sign_commit(repository, made.checksum, signer)
    return Commit(made.checksum, ref, version, parent, signer is not None)


def _is_sound(repository: Repository) -> bool:
    try:
        fsck(repository)
    except (Failure, CommandFailed) as error:
        log.warning("nothing of the commit before is taken: %s", error)
        return False
    return True


def list_objects(repository: Path) -> Iterator[str]:
    """Names below `objects` as they are where files are packed, of all but commits."""
    for path in sorted((repository / "objects").glob("*/*")):
        if path.suffix not in (".commit", ".commitmeta"):
            yield f"{path.parent.name}/{path.stem}{PACKED if path.suffix == PLAIN else path.suffix}"


def link_objects(names: Iterator[str], earlier: Path, repository: Repository) -> Iterator[bool]:
    """Whether each of *names* was linked from *earlier*; one that it lacks is left to be made."""
    source, target = earlier / "objects", repository.path / "objects"
    for name in names:
        directory = target / name[:2]
        if not directory.is_dir():
            directory.mkdir()
            os.chown(directory, *repository.store.idmap.owner)
            directory.chmod(0o755)
        linked = False
        with suppress(FileNotFoundError):
            os.link(source / name, target / name, follow_symlinks=False)
            linked = True
        yield linked
