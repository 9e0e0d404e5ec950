"""Named roots: kept between commands. A stack of states on a layer of the store, the topmost one written to.

roots/NAME/meta.json        what it stands on, its states bottom first, the writable one, and its snapshots
roots/NAME/states/ID/…      one state: root, work, lock, and packages.json if packages were installed in it

A state below the topmost never changes, so that a snapshot is a note in meta.json. Installing happens in a new state
that joins the root whole or not at all. What meta.json does not name is a leftover of a killed command.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from debcore.errors import Failure
from debcore.path import write_file
from debroot import owned
from debroot.emulate import find_emulation
from debroot.extend import merge_packages
from debroot.flatten import add_packages, copy_tree
from debroot.gc import discard, is_used
from debroot.install import check_installed, difference
from debroot.layers import Layer, Package
from debroot.locks import take_free
from debroot.sandbox import Sandbox, run_in
from debroot.store import Store

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,63}")

#: dpkg's database, and what apt knows beside it.
STATUS = "/var/lib/dpkg/status"
MARKS = "/var/lib/apt/extended_states"

#: So many states are one overlay; one more and they become one whole tree. The kernel bounds what a mount may name.
MAX_STATES = 16


@dataclass(frozen=True)
class Stack:
    """What a root looks like: *layer* (None: the lowest state is a whole tree) and the states on it, bottom first."""

    layer: str | None
    states: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    stack: Stack
    made_at: float  #: seconds since the epoch


@dataclass(frozen=True)
class Description:
    """meta.json."""

    stack: Stack  #: what does not change any more
    top: str  #: the state that is written to
    suite: str
    arch: str
    preset: str
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)

    def encode(self) -> str:
        return json.dumps(
            {
                "layer": self.stack.layer, "states": self.stack.states, "top": self.top, "suite": self.suite,
                "arch": self.arch, "preset": self.preset,
                "snapshots": {
                    label: {"layer": s.stack.layer, "states": s.stack.states, "made_at": s.made_at}
                    for label, s in self.snapshots.items()
                },
            }
        )  # fmt: skip


def parse_description(text: str) -> Description:
    """Errors: ValueError, KeyError or TypeError if it is damaged."""
    meta: dict[str, Any] = json.loads(text)
    snapshots = {label: Snapshot(_parse_stack(s), float(s["made_at"])) for label, s in meta["snapshots"].items()}
    return Description(_parse_stack(meta), meta["top"], meta["suite"], meta["arch"], meta["preset"], snapshots)


def _parse_stack(meta: Mapping[str, Any]) -> Stack:
    return Stack(meta["layer"], tuple(meta["states"]))


class NamedRoot:
    """An open named root; this process alone uses it."""

    def __init__(self, store: Store, name: str, place: Path, description: Description) -> None:
        self.store, self.name, self.place = store, name, place
        self.description = description

    @property
    def upper(self) -> Path:
        """For Sandbox.upper, over `below`."""
        return self._tree(self.description.top)

    @property
    def below(self) -> Layer:
        """What lies below the writable state, as a layer. Errors: Failure if it is gone."""
        return self._layer(self.description.stack)

    def sandbox(self) -> Sandbox:
        emulation = find_emulation(self.store, self.description.arch)
        return Sandbox(lowers=self.below.lowers(), upper=self.upper, emulation=emulation)

    def read(self, path: str) -> bytes:
        """A file as it is inside; b"" if there is none. Looked up inside, because a root may hold any symlink."""
        script = 'test ! -f "$1" || head -c 67108864 "$1"'
        return run_in(self.sandbox(), ["sh", "-c", script, "sh", path], idmap=self.store.idmap, capture=True).stdout

    def check_packages(self) -> None:
        """Errors: Failure if dpkg inside knows other packages than deb-mock has installed."""
        if found := difference(self.read(STATUS).decode("utf-8", "replace"), self.below.packages):
            raise Failure(
                f"the root {self.name} was changed by hand: {found}",
                hint="install such packages with `deb-mock install`, or go back with `deb-mock rollback`",
            )

    def install(
        self, packages: Sequence[Package], removed: Sequence[str], command: Sequence[str] | None = None
    ) -> None:
        """apt inside installs and removes exactly this, in a new state: all of it or nothing. Errors: CommandFailed."""
        before = self.read(STATUS).decode("utf-8", "replace")
        now = self._freeze()
        below = self._layer(now)
        after = merge_packages(below.packages, packages, removed)
        with self.store.using(below), self.store.workplace("root", "work") as made:
            parents = add_packages(self.store, below, made, packages, removed, command=command)
            if not difference(before, below.packages):  # nothing was installed by hand
                check_installed(made / "root", after)
            write_file(made / "packages.json", json.dumps([asdict(package) for package in after]))
            state = self._adopt(made)
        self._write(replace(self.description, stack=_grow(now, state, whole=not parents), top=self._make_state()))

    def snapshot(self, label: str) -> None:
        """Remember the root as it is. Errors: Failure if there is such a snapshot already."""
        _check_name(label, "snapshot")
        if label in self.description.snapshots:
            raise Failure(
                f"the root {self.name} has a snapshot {label} already",
                hint=f"choose another name, or first: deb-mock snapshot --root {self.name} --remove {label}",
            )
        now = self._freeze()
        found = {**self.description.snapshots, label: Snapshot(now, time.time())}
        top = self._make_state() if now != self.description.stack else self.description.top
        self._write(replace(self.description, stack=now, top=top, snapshots=found))

    def roll_back(self, label: str) -> None:
        """Make the root what it was at the snapshot; what changed since is gone."""
        self._write(replace(self.description, stack=self._snapshot(label).stack, top=self._make_state()))

    def remove_snapshot(self, label: str) -> None:
        self._snapshot(label)
        left = {name: s for name, s in self.description.snapshots.items() if name != label}
        self._write(replace(self.description, snapshots=left))

    def sweep(self) -> None:
        """Remove the states that nothing names, and what a kill left of a description that was being written."""
        for path in self.place.glob(".meta.json.*"):
            path.unlink()
        stacks = [self.description.stack, *(s.stack for s in self.description.snapshots.values())]
        named = {state for stack in stacks for state in stack.states} | {self.description.top}
        for path in (self.place / "states").iterdir():
            if path.name not in named:
                owned.remove_tree(path, self.store.idmap)

    def _snapshot(self, label: str) -> Snapshot:
        if label not in self.description.snapshots:
            there = ", ".join(self.description.snapshots) or "none"
            raise Failure(f"the root {self.name} has no snapshot {label!r}", hint=f"there are: {there}")
        return self.description.snapshots[label]

    def _freeze(self) -> Stack:
        """The root as it is now, as a stack that never changes. Written down by the caller."""
        now = self.description.stack
        if any(self.upper.iterdir()):
            now = _grow(now, self.description.top)
        if len(now.states) <= MAX_STATES:
            return now
        layer = self._layer(now)
        with self.store.workplace("root", "work") as made:
            emulation = find_emulation(self.store, layer.arch)
            copy_tree(layer.lowers(), made / "root", self.store.idmap, emulation=emulation)
            write_file(made / "packages.json", json.dumps([asdict(package) for package in layer.packages]))
            return Stack(None, (self._adopt(made),))

    def _layer(self, stack: Stack) -> Layer:
        below: Layer | None = None
        if stack.layer is not None:
            below = self.store.find(stack.layer)
            if below is None:
                hint = f"make the root anew: deb-mock clean --root {self.name}"
                raise Failure(f"layer {stack.layer[:12]} below the root {self.name} is gone or damaged", hint=hint)
        for state in stack.states:
            packages = self._packages(state) or (below.packages if below else ())
            parents = (*below.parents, below) if below else ()
            d = self.description
            below = Layer(f"{self.name}-{state}", self.place / "states" / state, parents, packages, d.arch, d.suite)
        if below is None:
            raise Failure(f"the root {self.name} is damaged", hint=f"deb-mock clean --root {self.name}")
        return below

    def _packages(self, state: str) -> tuple[Package, ...] | None:
        path = self.place / "states" / state / "packages.json"
        if not path.exists():
            return None
        return tuple(Package(**fields) for fields in json.loads(path.read_text()))

    def _tree(self, state: str) -> Path:
        return self.place / "states" / state / "root"

    def _make_state(self) -> str:
        with self.store.workplace("root", "work") as made:
            return self._adopt(made)

    def _adopt(self, made: Path) -> str:
        """Move a workplace among the states; meta.json names it afterwards, or it is swept."""
        state = secrets.token_hex(6)
        made.rename(self.place / "states" / state)
        return state

    def _write(self, description: Description) -> None:
        write_file(self.place / "meta.json", description.encode())
        self.description = description
        self.sweep()


def _grow(stack: Stack, state: str, *, whole: bool = False) -> Stack:
    return Stack(None, (state,)) if whole else Stack(stack.layer, (*stack.states, state))


@contextmanager
def open_named(store: Store, name: str, make: Callable[[], tuple[Layer, str]] | None = None) -> Iterator[NamedRoot]:
    """The root *name*, locked; made on the layer that *make* returns (with the name of its preset) if it is missing.

    Errors: Failure if another process uses it, or if it is missing and there is no *make*.
    """
    _check_name(name, "root")
    place = store.path / "roots" / name
    if not (place / "meta.json").exists():
        if make is None:
            raise Failure(f"there is no root {name}", hint=f"make it with: deb-mock init --root {name}")
        with store.making(f"root-{name}"):
            if not (place / "meta.json").exists():
                _make(store, place, *make())
    fd = take_free(place)
    if fd is None:
        raise Failure(f"the root {name} is in use", hint="wait for the command that uses it, or name another --root")
    try:
        root = NamedRoot(store, name, place, load_description(place))
        if is_used(place / "states" / root.description.top):
            raise Failure(f"a command still runs in the root {name}", hint="it ends with the command that started it")
        root.sweep()
        os.utime(place / "meta.json")
        yield root
    finally:
        os.close(fd)


def load_description(place: Path) -> Description:
    try:
        return parse_description((place / "meta.json").read_text())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        hint = f"it cannot be repaired; remove it with: deb-mock clean --root {place.name}"
        raise Failure(f"the root {place.name} is damaged: {error}", hint=hint) from error


def has_named(store: Store, name: str) -> bool:
    """Whether there is a root of this name. Errors: Failure if it is no name."""
    _check_name(name, "root")
    return (store.path / "roots" / name).exists()


def remove_named(store: Store, name: str) -> None:
    """Errors: Failure if there is none, or it is in use."""
    _check_name(name, "root")
    place = store.path / "roots" / name
    if not place.exists():
        raise Failure(f"there is no root {name}", hint="deb-mock list shows those that exist")
    discard(store, place, f"the root {name}")


def _make(store: Store, place: Path, layer: Layer, preset: str) -> None:
    top = secrets.token_hex(6)
    with store.using(layer), store.workplace() as made, store.workplace("root", "work") as state:
        (made / "states").mkdir()
        (made / "states").chmod(0o711)  # root inside passes through
        state.rename(made / "states" / top)
        description = Description(Stack(layer.id), top, layer.suite, layer.arch, preset)
        write_file(made / "meta.json", description.encode())
        if place.exists():  # without meta.json: half removed
            discard(store, place, f"the root {place.name}")
        made.rename(place)


def _check_name(name: str, what: str) -> None:
    if not NAME.fullmatch(name):
        raise Failure(f"{name!r} is no name for a {what}", hint="use letters, digits, and + . _ - after the first")
