"""From exact packages to a finished tree. The store keeps every stage and the result; equal input is made once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deb_bootc_compose.tree import kept, stages
from deb_bootc_compose.tree.outside import TOOLS, call
from deb_bootc_compose.tree.spec import FinishOptions, options_to_json
from deb_bootc_compose.tree.steps.registry import STEPS, Step
from debcore.errors import Failure
from debroot.emulate import find_emulation
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Package, Store

#: Where the steps see the tree that theirs is derived from.
BELOW = "/below"

#: Where they see one whose initramfs is right.
EARLIER = "/earlier"

#: Modules that carry values about and change no content; stages.RECIPE stands for stages.py.
PLUMBING = ("__init__.py", "inside.py", "kept.py", "make.py", "outside.py", "stages.py")


@dataclass(frozen=True, kw_only=True)
class TreeSpec:
    """Everything that decides the content of a tree. All packages must be in the store's pool."""

    suite: str
    arch: str
    base: tuple[Package, ...]  #: Essential packages and apt, complete
    archive: tuple[Package, ...]  #: complete: apt adds nothing
    hub: tuple[Package, ...] = ()  #: built by us; may replace versions of those below
    below: Layer | None = None  #: a finished tree in the place of the base stage; `base` is then empty
    finish: FinishOptions = field(default_factory=FinishOptions)


@dataclass(frozen=True)
class Tree:
    """A finished tree in the OCI form. `layer` is its only copy, in the store; `root` is owned by the id map."""

    id: str  #: sha256 of everything that went in
    layer: Layer
    kver: str
    ostree_features: tuple[str, ...]
    ids: str  #: the id ledger as it came out, for the next lock

    @property
    def root(self) -> Path:
        return self.layer.root

    @property
    def packages(self) -> tuple[Package, ...]:
        return self.layer.packages


def code_hash() -> str:
    """Hash of the code that decides the content of trees: another code, another tree."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted({*here.glob("*.py"), *here.glob("steps/*.py")} - {here / name for name in PLUMBING}):
        digest.update(str(path.relative_to(here)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def tree_id(spec: TreeSpec) -> str:
    """What *spec* makes: the same id, the same bytes."""
    data = {
        "suite": spec.suite,
        "arch": spec.arch,
        "packages": [stages.package_keys(p) for p in (spec.base, spec.archive, spec.hub)],
        "finish": options_to_json(spec.finish),
        "recipe": stages.RECIPE,
        "code": code_hash(),
        **({"below": spec.below.id} if spec.below else {}),
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def find_tools(store: Store, suite: str) -> Layer:
    """The tools root for trees of *suite*: its ostree must be the one that the machines have."""
    from debroot.bootstrap import tools_root

    return tools_root(store, suite=suite, packages=TOOLS)


def make_tree(
    store: Store, spec: TreeSpec, *, tools: Layer | None = None, log: Path | None = None, anew: bool = False
) -> Tree:
    """Make the tree of *spec*, or find it. *log* is appended to: output of maintainer scripts, dracut and apt.

    *anew*: one that is there goes first, and no initramfs is taken; the stages below stay.
    Errors: Failure that names the step and says what to change; nothing half-made stays in the store.
    """
    made = tree_id(spec)
    tools = tools or find_tools(store, spec.suite)
    key = f"tree-{made[:24]}"
    with store.making(key):
        if anew and store.find(key) is not None:
            store.remove(key)
        if (found := store.find(key)) is None:
            top = make_stages(store, spec, tools=tools, log=log)
            found = _finish(store, spec, top, key=key, tools=tools, log=log, anew=anew)
    return _describe(store, found, made, tools)


def _finish(store: Store, spec: TreeSpec, top: Layer, *, key: str, tools: Layer, log: Path | None, anew: bool) -> Layer:
    """With the initramfs of the tree before, where only packages of the hub changed that it knows nothing of."""
    if spec.below is not None or not spec.hub:
        return finish_tree(store, top, spec.finish, key=key, tools=tools, log=log, below=spec.below)
    name = kept.name_finish(top.parents[-1], spec.finish, code_hash())
    by_itself = anew or spec.finish.postprocess  # what a script does may depend on any package
    earlier = None if by_itself else kept.find_alike(store, name, top, tools=tools)
    made = finish_tree(store, top, spec.finish, key=key, tools=tools, log=log, earlier=earlier)
    kept.remember(store, name, tree=made, hub=top)
    return made


def make_stages(store: Store, spec: TreeSpec, *, tools: Layer, log: Path | None = None) -> Layer:
    """The packages of *spec* installed, before anything is finished."""
    ids, left = spec.finish.ids, spec.finish.dpkg_options
    base = spec.below or stages.make_base_stage(
        store, spec.base, suite=spec.suite, arch=spec.arch, log=log, dpkg_options=left
    )
    archive = stages.make_package_stage(
        store, "archive", base, spec.archive, tools=tools, ids=ids, log=log, dpkg_options=left
    )
    return stages.make_package_stage(store, "hub", archive, spec.hub, tools=tools, log=log, dpkg_options=left)


def audit_var(store: Store, spec: TreeSpec, *, tools: Layer | None = None) -> dict[str, Any]:
    """What `finish.audit` says of the tree that *spec* is going to be. Errors: Failure, CommandFailed."""
    tools = tools or find_tools(store, spec.suite)
    top = make_stages(store, spec, tools=tools)
    with store.workplace("root") as place:
        stages.copy_merged(store, top, place / "root")
        binds = [Bind(source=place / "root", target="/tree")]
        return call(
            store, tools, "deb_bootc_compose.tree.finish:audit", {"options": options_to_json(spec.finish)}, binds=binds
        )


def load_tree(store: Store, tree: str, *, suite: str, tools: Layer | None = None) -> Tree | None:
    """The tree with this id, if the store still has it."""
    found = store.find(f"tree-{tree[:24]}")
    return None if found is None else _describe(store, found, tree, tools or find_tools(store, suite))


def finish_tree(
    store: Store,
    top: Layer,
    options: FinishOptions,
    *,
    key: str,
    tools: Layer,
    log: Path | None = None,
    below: Layer | None = None,
    earlier: Layer | None = None,
) -> Layer:
    """Copy the stages below *top* into one directory and run all steps on it. The result is a layer without parents.

    *below*: the finished tree at the bottom of these stages; what it decided already stays as it is.
    *earlier*: a finished tree whose initramfs this one gets.
    """
    with store.workplace("root") as place:
        root = place / "root"
        stages.copy_merged(store, top, root)
        state: dict[str, Any] = _first_state(find_features(store, root, arch=top.arch))
        state |= {
            "debs": describe_debs(top.packages),
            "below": BELOW if below else "",
            "earlier": EARLIER if earlier else "",
        }
        waiting: list[str] = []
        for step in STEPS:
            waiting.append(step.name)
            if (step.commands is None or not step.is_wanted(options)) and step is not STEPS[-1]:
                continue
            state = _run_steps(store, root, waiting, options, state, tools, {BELOW: below, EARLIER: earlier})
            waiting = []
            _run_commands(store, root, step, options, state, log, arch=top.arch)
        return store.commit_layer(place, Layer(key, place, (), top.packages, top.arch, top.suite))


def describe_debs(packages: Sequence[Package]) -> str:
    """Content of dpkg.DEBS: nothing in it depends on where a package was fetched."""
    fields = ("name", "version", "arch", "sha256", "size", "source", "source_version")
    rows = [{field: getattr(package, field) for field in fields} for package in sorted(packages, key=lambda p: p.key)]
    return json.dumps(rows, indent=0, sort_keys=True) + "\n"


def find_features(store: Store, root: Path, *, arch: str) -> tuple[str, ...]:
    """What the tree's own ostree was built with. Errors: Failure if the tree has no ostree."""
    box = Sandbox(root=root, emulation=find_emulation(store, arch))
    done = run_in(box, ["ostree", "--version"], idmap=store.idmap, capture=True, check=False)
    if done.status:
        raise Failure("the tree has no working ostree", hint="add the packages ostree, ostree-boot and dracut")
    return parse_features(done.text)


def parse_features(text: str) -> tuple[str, ...]:
    """The features of `ostree --version`, which prints YAML with one list."""
    lines = [line.strip() for line in text.splitlines()]
    at = lines.index("Features:") if "Features:" in lines else len(lines)
    return tuple(line.removeprefix("- ") for line in lines[at:] if line.startswith("- "))


def _first_state(features: Sequence[str]) -> dict[str, Any]:
    return {"ostree_features": list(features)}


def _run_steps(
    store: Store, root: Path, names: Sequence[str], options: FinishOptions, state: dict[str, Any], tools: Layer,
    others: Mapping[str, Layer | None],
) -> dict[str, Any]:  # fmt: skip
    arguments = {"names": list(names), "options": options_to_json(options), "state": state}
    binds = [Bind(source=root, target="/tree", readonly=False)]
    binds += [Bind(source=layer.root, target=place) for place, layer in others.items() if layer is not None]
    return call(store, tools, "deb_bootc_compose.tree.finish:run_steps", arguments, binds=binds)


def _run_commands(
    store: Store, root: Path, step: Step, options: FinishOptions, state: dict[str, Any], log: Path | None, *, arch: str
) -> None:
    from deb_bootc_compose.tree.finish import state_from_json

    now = state_from_json(state)
    for index, argv in enumerate(step.commands(options, now) if step.commands else []):
        stdin = step.stdin(now) if step.stdin else b""
        box = Sandbox(root=root, env=stages.ENV, emulation=find_emulation(store, arch))
        done = run_in(box, argv, idmap=store.idmap, stdin=stdin, capture=True, check=False)
        if log is not None:
            with log.open("ab") as file:
                file.write(done.stdout + done.stderr)
        if done.status:
            output = (done.stdout + done.stderr).decode("utf-8", "replace").strip().splitlines()
            shown = "\n  ".join(output[-10:])
            what = step.called(index) if step.called else f"step {step.name}"
            raise Failure(f"{what} failed with status {done.status}:\n  {shown}", hint="see the log of the tree")


def _describe(store: Store, layer: Layer, made: str, tools: Layer) -> Tree:
    bind = Bind(source=layer.root, target="/tree")
    told = call(store, tools, "deb_bootc_compose.tree.finish:describe", {}, binds=[bind])
    return Tree(made, layer, told["kver"], tuple(told["ostree_features"]), told["ids"])
