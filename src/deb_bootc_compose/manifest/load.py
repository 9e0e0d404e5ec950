"""From files to a manifest: includes read, conditions decided, variables put in, everything checked."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deb_bootc_compose.manifest.document import Mark, Node, load_document
from deb_bootc_compose.manifest.explain import validate
from deb_bootc_compose.manifest.merge import clear, expand, expand_text, holds, merge, select_arch
from deb_bootc_compose.manifest.model import Compose, Tree, Variant, VariantSpec, kebab
from deb_bootc_compose.manifest.words import ARCHES
from debcore.errors import ConfigError

TREE_KEYS = frozenset(kebab(name) for name in Tree.model_fields)
INCLUDES = ("include", "conditional-include")
#: Keys whose text is a path on this host, relative to the file that says it: (mapping or list, key).
PATHS = (
    ("add-files", "from"), ("builds", "source"), ("users", "ledger"), ("sources", "signed-by"),
    ("notifications", "script"), ("base", "oci"), ("base", "ostree"),
)  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """A manifest as it will be composed. `origins` maps dotted keys to the file and line that gave the value."""

    path: Path
    compose: Compose
    specs: tuple[VariantSpec, ...]
    origins: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """For logs/manifest-resolved.json: everything that `resume` needs."""
        return {
            "path": str(self.path),
            "compose": self.compose.model_dump(mode="json", by_alias=True),
            "specs": [spec.model_dump(mode="json", by_alias=True) for spec in self.specs],
            "origins": dict(self.origins),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Manifest:
        """Errors: pydantic.ValidationError, KeyError if it was written by another version."""
        return cls(
            path=Path(document["path"]),
            compose=Compose.model_validate_json(json.dumps(document["compose"])),
            specs=tuple(VariantSpec.model_validate_json(json.dumps(spec)) for spec in document["specs"]),
            origins=dict(document["origins"]),
        )


def find_manifest(path: Path) -> Path:
    """The compose.yaml in directory *path*, or *path* itself."""
    return path / "compose.yaml" if path.is_dir() else path


def load_manifest(path: Path, *, variables: Mapping[str, str] | None = None) -> Manifest:
    """Errors: ConfigError with file:line. *variables* go over those of the manifest."""
    path = find_manifest(path)
    top = load_document(path)
    scope = _variables(top, variables or {})
    read = {_real_path(path): top.mark}
    whole = _with_includes(top, path, scope, seen=read, is_tree=False)
    _check_named(variables or {}, read, known=scope)
    assert isinstance(whole.value, dict)
    shared = {key: node for key, node in whole.value.items() if _is_tree_key(key)}
    variants = whole.value.get("variants")
    rest = {key: node for key, node in whole.value.items() if key not in shared and key != "variants"}
    compose = validate(Compose, expand(whole.with_value(rest), scope), context=(*TREE_KEYS, "variants", *INCLUDES))
    if variants is None or not isinstance(variants.value, dict) or not variants.value:
        mark = variants.mark if variants else whole.mark
        raise ConfigError(str(mark), "`variants` is missing or empty", hint="variants: {server: {arches: […], ref: …}}")
    origins = {".".join(map(str, key)): str(node.mark) for key, node in whole.with_value(rest).walk()}
    specs: list[VariantSpec] = []
    for name, node in variants.value.items():
        merged = merge(Node(shared, whole.mark, keys=whole.keys), node)
        for spec, content in _make_specs(name, merged, scope, variants.key_mark(name)):
            specs.append(spec)
            at = ("variants", name, spec.arch)
            origins |= {".".join(map(str, (*at, *key))): str(item.mark) for key, item in content.walk()}
    return Manifest(path, compose, tuple(specs), origins)


#: Variables that nobody sets: they follow from the manifest.
GIVEN = ("suite", "short", "version", "arch", "variant")

#: Stand for what only a variant on an architecture knows, while all else is put in.
_LATER = {name: f"\0{name}\0" for name in ("arch", "variant")}


def merged_document(path: Path, *, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The manifest as one file without includes, conditions and variables but `${arch}` and `${variant}`.

    Each variant says all of its content; paths of this host are absolute. What it loads as is what *path* loads as.
    Errors: ConfigError with file:line.
    """
    load_manifest(path, variables=variables)  # whatever is wrong is said with its line
    path = find_manifest(path)
    top = load_document(path)
    scope = {**_variables(top, variables or {}), **_LATER}
    whole = _with_includes(top, path, scope, seen={_real_path(path): top.mark}, is_tree=False)
    assert isinstance(whole.value, dict)
    shared = Node({key: node for key, node in whole.value.items() if _is_tree_key(key)}, whole.mark)
    rest = {key: node for key, node in whole.value.items() if not _is_tree_key(key) and key != "variables"}
    variants = rest["variants"].value
    assert isinstance(variants, dict)
    rest["variants"] = Node({name: clear(merge(shared, node)) for name, node in variants.items()}, whole.mark)
    document: dict[str, Any] = _for_a_file(expand(whole.with_value(rest), scope).plain())
    return document


def _for_a_file(value: Any) -> Any:
    """Text that may hold `${` by now, written so that it is read as it is."""
    if isinstance(value, dict):
        return {key: _for_a_file(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_for_a_file(item) for item in value]
    if not isinstance(value, str):
        return value
    text = value.replace("${", "$${")
    for name, token in _LATER.items():
        text = text.replace(token, f"${{{name}}}")
    return text


def _make_specs(name: str, node: Node, scope: Mapping[str, str], mark: Mark) -> Iterator[tuple[VariantSpec, Node]]:
    arches = node.value.get("arches") if isinstance(node.value, dict) else None
    if arches is None or not isinstance(arches.value, tuple) or not arches.value:
        raise ConfigError(str(mark), f"variant {name!r} has no list `arches`", hint="arches: [amd64]")
    for item in arches.value:
        arch = str(item.plain())
        chosen = expand(select_arch(node, arch, ARCHES), {**scope, "arch": arch, "variant": name})
        variant = validate(Variant, chosen, context=())
        _check_failable(chosen, variant)
        try:
            yield VariantSpec(name=name, arch=arch, variant=variant), chosen
        except ValidationError as error:
            raise ConfigError(str(mark), f"variant {name!r}: {error.errors()[0]['msg']}") from error


def _check_named(given: Mapping[str, str], read: Iterable[Path], *, known: Iterable[str]) -> None:
    """Errors: ConfigError for a variable of the command line that no file of *read* names: a slip changes nothing."""
    for name in given:
        if name in GIVEN:
            hint = "change it in compose.yaml, or write it with a variable of your own"
            raise ConfigError("--set", f"{name!r} is no variable: the manifest says it itself", hint=hint)
        if not any(re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", path.read_text("utf-8")) for path in read):
            near = difflib.get_close_matches(name, sorted(set(known) - {*given, *GIVEN}), 1)
            hint = f"did you mean {near[0]!r}?" if near else "`variables` in compose.yaml names them"
            raise ConfigError("--set", f"no variable {name!r} is used by the manifest", hint=hint)


def _check_failable(node: Node, variant: Variant) -> None:
    """Errors: ConfigError at an architecture that may fail and that the variant does not have."""
    for index, arch in enumerate(variant.failable):
        if arch not in variant.arches:
            mark = node.at(("failable", index))
            raise ConfigError(
                str(mark), f"`failable` names {arch}, which is not one of `arches`", hint=", ".join(variant.arches)
            )


def _variables(top: Node, given: Mapping[str, str]) -> dict[str, str]:
    """`suite`, `short`, `version` and the manifest's own; values may name the first three."""
    plain = top.plain()
    release = plain.get("release") if isinstance(plain.get("release"), dict) else {}
    fixed = {"suite": plain.get("suite"), "short": release.get("short"), "version": release.get("version")}
    scope = {key: str(value) for key, value in fixed.items() if isinstance(value, str | int | float)}
    own = top.value.get("variables") if isinstance(top.value, dict) else None
    if own is not None and isinstance(own.value, dict):
        builtin = dict(scope)
        for key, node in own.value.items():
            if key in GIVEN:
                raise ConfigError(str(own.key_mark(key)), f"the variable {key!r} is given by the manifest itself")
            if isinstance(node.value, str):
                scope[key] = expand_text(node.value, builtin, node.mark)
    return {**scope, **given}


def _with_includes(node: Node, path: Path, scope: Mapping[str, str], *, seen: dict[Path, Mark], is_tree: bool) -> Node:
    if is_tree:
        _refuse_compose_keys(node)
    node = absolute_paths(node, path.parent)
    assert isinstance(node.value, dict)
    own = node.with_value({key: item for key, item in node.value.items() if key not in INCLUDES})
    merged: Node | None = None
    for name, mark in _find_includes(node, scope):
        target = path.parent / name
        real = _real_path(target)
        if real in seen:
            raise ConfigError(str(mark), f"{name} is included twice", hint=f"first from {seen[real]}")
        if not os.path.isfile(target):  # noqa: PTH113 -- whose name may be longer than a file system allows
            raise ConfigError(str(mark), f"the included file {name} does not exist", hint=f"looked for {target}")
        seen[real] = mark
        part = _with_includes(load_document(target), target, scope, seen=seen, is_tree=True)
        merged = part if merged is None else merge(merged, part)
    return own if merged is None else merge(merged, own)


def _find_includes(node: Node, scope: Mapping[str, str]) -> Iterator[tuple[str, Mark]]:
    assert isinstance(node.value, dict)
    include = node.value.get("include")
    if include is not None:
        items = include.value if isinstance(include.value, tuple) else (include,)
        for item in items:
            if not isinstance(item.value, str):
                raise ConfigError(str(item.mark), "`include` is a list of file names")
            yield expand_text(item.value, scope, item.mark), item.mark
    conditional = node.value.get("conditional-include")
    if conditional is None:
        return
    for item in conditional.value if isinstance(conditional.value, tuple) else (conditional,):
        if not isinstance(item.value, dict) or set(item.value) != {"if", "include"}:
            raise ConfigError(str(item.mark), "a conditional include has the keys `if` and `include`")
        if holds(item.value["if"], scope):
            yield str(item.value["include"].plain()), item.value["include"].mark


def _refuse_compose_keys(node: Node) -> None:
    assert isinstance(node.value, dict)
    for key in node.value:
        if not _is_tree_key(key) and key not in INCLUDES:
            near = difflib.get_close_matches(key, [*TREE_KEYS, *INCLUDES], 1)
            compose_key = key in {*map(kebab, Compose.model_fields), "schema", "variants"}
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(TREE_KEYS))}"
            text = f"{key!r} belongs into compose.yaml" if compose_key else f"unknown key {key!r}"
            raise ConfigError(str(node.key_mark(key)), f"{text}; this file is an included tree", hint=hint)


def _is_tree_key(key: str) -> bool:
    return key in TREE_KEYS or key.startswith("packages-")


def absolute_paths(node: Node, base: Path) -> Node:
    """Paths on this host made absolute, before files merge and it is forgotten where they stood."""
    assert isinstance(node.value, dict)
    values = dict(node.value)
    for where, key in PATHS:
        if where in values:
            values[where] = _absolute(values[where], key, base)
    if "variants" in values and isinstance(values["variants"].value, dict):
        inner = {
            name: absolute_paths(item, base) if isinstance(item.value, dict) else item
            for name, item in values["variants"].value.items()
        }
        values["variants"] = values["variants"].with_value(inner)
    return node.with_value(values)


def _absolute(node: Node, key: str, base: Path) -> Node:
    if isinstance(node.value, tuple):
        return node.with_value(tuple(_absolute(item, key, base) for item in node.value))
    if not isinstance(node.value, dict):
        return node
    item = node.value.get(key)
    if item is None or not isinstance(item.value, str) or not item.value:
        return node
    return node.with_value({**node.value, key: item.with_value(str(_real_path(base / item.value)))})


def _real_path(path: Path) -> Path:
    """As Path.resolve, but links that lead in a circle are left for whoever opens the file."""
    return Path(os.path.realpath(path))
