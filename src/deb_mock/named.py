"""Named roots as the verbs use them: which one, made from which preset, and apt in it in two steps.

First the tools root's apt resolves for the root's own dpkg database and fetches, with hashes checked; then the root's
own apt runs without network and sees nothing but those .debs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deb_mock.config import Choice, choose
from deb_mock.order import Order
from deb_mock.outcome import translate_install
from deb_mock.roots import find_sources, install_build, make_base
from debcore.errors import CommandFailed, Failure
from debroot.named import MARKS, STATUS, NamedRoot, load_description, open_named
from debroot.resolve import Resolution, ask_apt, fetch, resolve_command
from debroot.store import Layer, Package, Store

#: Seconds for which package lists are not checked again by verbs on named roots; `apt update` checks at once.
LISTS_AGE = 3600.0

#: apt's commands that change a root, and those that only say something, with the program that knows them.
CHANGING = (
    "install", "reinstall", "remove", "purge", "autoremove", "autopurge", "upgrade", "dist-upgrade", "full-upgrade",
    "build-dep",
)  # fmt: skip
TELLING = {
    "search": "apt-cache", "show": "apt-cache", "policy": "apt-cache", "depends": "apt-cache", "rdepends": "apt-cache",
    "madison": "apt-cache", "pkgnames": "apt-cache", "showpkg": "apt-cache", "list": "apt",
}  # fmt: skip
#: Options that only concern the choice: the second step has no choice left.
CHOOSING = ("-t", "--target-release", "--default-release")
FLAGS = (
    "--only-upgrade", "--no-upgrade", "--reinstall", "--purge", "--autoremove", "--auto-remove", "-f", "--fix-broken",
    "--no-install-recommends", "--install-recommends", "--allow-downgrades", "--allow-change-held-packages",
    "-y", "--yes", "-q", "-qq", "-V", "--verbose-versions", "--installed", "--upgradable", "-a", "--all-versions",
    "-n", "--names-only", "-P", "--build-profiles",
)  # fmt: skip

WORD = re.compile(r"([a-z0-9][a-z0-9+.-]*)(:[a-z0-9-]+)?(?:[=/][A-Za-z0-9.+~:-]+)?")


@dataclass(frozen=True)
class Words:
    """An apt command taken apart: options for both steps, options for the first, and what they are about."""

    command: str
    flags: tuple[str, ...]
    choosing: tuple[str, ...]
    names: tuple[str, ...]
    debs: tuple[Path, ...]


def parse_words(words: Sequence[str]) -> Words:
    """Errors: Failure on what has no meaning in two steps."""
    todo = list(words)
    command, flags, choosing, names, debs = "", [], [], [], []
    while todo:
        word = todo.pop(0)
        if word.partition("=")[0] in CHOOSING:
            value = word.partition("=")[2] or (todo.pop(0) if todo else "")
            choosing += ["-t", _check_word(value)]
        elif word.startswith("-"):
            if word.partition("=")[0] not in FLAGS:
                raise Failure(f"apt's option {word} is not for use here", hint=f"these are: {' '.join(FLAGS)}")
            flags.append(word)
        elif not command:
            command = word
        elif word.endswith(".deb") and command in ("install", "reinstall"):
            debs.append(Path(word))
        else:
            names.append(_check_word(word) if command in CHANGING else word)
    return Words(command, tuple(flags), tuple(choosing), tuple(names), tuple(debs))


def _check_word(word: str) -> str:
    if not WORD.fullmatch(word):
        hint = "write NAME, NAME=VERSION, NAME/SUITE, NAME- or the path of a .deb"
        raise Failure(f"{word!r} is no name of a package", hint=hint)
    return word


def find_preset_of(store: Store, name: str) -> str | None:
    """The preset of the named root *name*; None if there is no such root."""
    place = store.path / "roots" / name
    return load_description(place).preset if "/" not in name and (place / "meta.json").exists() else None


def choose_root(
    store: Store, *, name: str | None, preset: str | None, arch: str | None, options: Sequence[str]
) -> tuple[Choice, str]:
    """The settings and the name of a named root: an existing root's own preset, else -r and the defaults.

    Without a name the root is called as its preset. Errors: Failure if -r contradicts the root.
    """
    own = find_preset_of(store, name) if name else None
    choice = choose(preset=preset or own, arch=arch, options=options)
    return choice, check_preset(store, choice, name)


def check_preset(store: Store, choice: Choice, name: str | None) -> str:
    """The name of the root that *choice* means. Errors: Failure if the root of that name was made of another preset."""
    name = name or choice.preset.name
    own = find_preset_of(store, name)
    if own not in (None, choice.preset.name):
        hint = f"leave -r out, or make it anew: deb-mock clean --root {name}"
        raise Failure(f"the root {name} is one of {own}, not of {choice.preset.name}", hint=hint)
    return name


def in_named(order: Order, name: str | None) -> Order:
    """*order* in a named root. Errors: Failure where only a clean root will do."""
    if order.lock is not None or order.check is not None or order.chroot is not None or order.choice.is_cross:
        hint = "leave --root and --no-clean out"
        raise Failure("a named root is not for builds that are locked, verified, crossed or in a tarball", hint=hint)
    return replace(order, named=check_preset(Store.open(), order.choice, name))


@contextmanager
def open_root(store: Store, choice: Choice, name: str) -> Iterator[NamedRoot]:
    """The root *name*, made from *choice* if it does not exist. Errors: Failure if it is in use."""
    with open_named(
        store, name, lambda: (make_base(store, choice, find_sources(choice), max_age=LISTS_AGE), choice.preset.name)
    ) as root:
        yield root


@contextmanager
def open_for_build(store: Store, choice: Choice, name: str | None) -> Iterator[NamedRoot | None]:
    """The named root of a build, if it has one. Errors: Failure if it is in use, or holds packages that deb-mock did
    not install: the build's lock could not name them."""
    if name is None:
        yield None
        return
    with open_root(store, choice, name) as root:
        root.check_packages()
        yield root


def install_for_build(store: Store, base: Layer, resolution: Resolution, root: NamedRoot | None) -> tuple[Layer, int]:
    """*root*, or without one *base*, with *resolution*, and the number of packages installed now."""
    if root is None:
        return install_build(store, base, resolution)
    if resolution.packages or resolution.removed:
        fetch(root.store, resolution.packages)
        root.install(resolution.packages, resolution.removed)
    return root.below, len(resolution.packages)


def run_apt(root: NamedRoot, choice: Choice, words: Sequence[str]) -> Resolution | str:
    """Do what `apt WORDS` means in *root*: what came and went, or what apt has to say.

    Errors: Failure on words without meaning here; DepsUnmet; CommandFailed, with the root as it was.
    """
    asked = parse_words(words)
    given = choice.settings.archive.max_age
    max_age = LISTS_AGE if given is None else given
    sources = find_sources(choice)
    if asked.command == "update":
        ask_apt(root.store, ["true"], sources=sources, arch=choice.arch, status=b"")
        return "the package lists are those of now\n"
    status = root.read(STATUS)
    if asked.command in TELLING:
        argv = [TELLING[asked.command], *asked.flags, asked.command, *asked.names]
        return ask_apt(root.store, argv, sources=sources, arch=choice.arch, status=status, max_age=max_age)
    if asked.command not in CHANGING:
        known = " ".join(("update", *CHANGING, *TELLING))
        raise Failure(f"apt's command {asked.command!r} is not for use here", hint=f"these are: {known}")
    local = [root.store.add_deb(_existing(path)) for path in asked.debs]
    words = [*asked.flags, *asked.choosing, asked.command, *asked.names, *(f"{p.name}={p.version}" for p in local)]
    found = resolve_command(
        root.store, words, sources=sources, arch=choice.arch, status=status, marks=root.read(MARKS), debs=local,
        max_age=max_age,
    )  # fmt: skip
    if found.packages or found.removed:
        fetch(root.store, found.packages)
        _install(root, asked, found, local)
    return found


def _install(root: NamedRoot, asked: Words, found: Resolution, local: Sequence[Package]) -> None:
    exact = {package.name: f"{package.name}:{package.arch}={package.version}" for package in found.packages}
    exact |= {p.name: f"{p.name}={p.version}" for p in found.packages if p.arch == "all"}
    if asked.command in ("install", "reinstall"):
        matches = [match for word in asked.names if (match := WORD.fullmatch(word)) and not word.endswith("-")]
        words = [exact.get(match[1], match[0]) for match in matches]
        command = [*asked.flags, asked.command, *words, *(exact[package.name] for package in local)]
        command += [f"{name}-" for name in found.removed]
    elif asked.command in ("remove", "purge", "autoremove", "autopurge"):
        purge = "purge" in asked.command or "--purge" in asked.flags
        command = ["purge" if purge else "remove", *found.removed]
    elif asked.command == "build-dep":
        command = ["install", *exact.values(), *(f"{name}-" for name in found.removed)]
    else:
        command = [*asked.flags, asked.command, *asked.names]
    try:
        root.install(found.packages, found.removed, command)
    except CommandFailed as error:
        raise translate_install(error) from error


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise Failure(f"{path} is no file", hint="a word that ends in .deb is a file here; packages have no such names")
    return path
