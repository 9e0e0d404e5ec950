"""From a manifest to the nodes of its graph: what needs what, and what each task is told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from deb_bootc_compose import past
from deb_bootc_compose.boot.grub import files_digest
from deb_bootc_compose.graph import Node, OnlyIf, canonical
from deb_bootc_compose.manifest import Manifest, VariantSpec
from deb_bootc_compose.manifest.model import Tree, Variant
from deb_bootc_compose.tasks import KINDS

if TYPE_CHECKING:
    from deb_bootc_compose.compose import Options


def key(spec: VariantSpec) -> str:
    return f"{spec.name}.{spec.arch}"


def ask_of(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """What each tree asks of apt, as the lock remembers it."""
    return {key(spec): ask(spec) for spec in manifest.specs}


def ask(spec: VariantSpec) -> tuple[str, ...]:
    variant = spec.variant
    return (*_unique(variant.packages), *(f"{name}-" for name in _unique(variant.exclude_packages)))


def make_nodes(manifest: Manifest, options: Options, digests: Mapping[str, str]) -> list[Node]:
    """All tasks, less those that the options leave out and what needs them."""
    return [node for node, reason in judge_nodes(manifest, options, digests) if not reason]


def judge_nodes(manifest: Manifest, options: Options, digests: Mapping[str, str]) -> Iterator[tuple[Node, str]]:
    """Every task, and why it is left out; "" if it is not."""
    nodes = list(_all_nodes(manifest, options, digests))
    order = list(KINDS)
    asked = _closure(nodes, options.only)
    have: set[str] = set()
    for node in nodes:
        reason = ""
        if node.kind in options.skip:
            reason = f"--skip {node.kind}"
        elif options.until is not None and order.index(node.kind) > order.index(options.until):
            reason = f"comes after --until {options.until}"
        elif options.only and node.id not in asked:
            reason = f"nothing that --only {', '.join(options.only)} asks for needs it"
        elif node.kind in CLOSING:  # these make do with what there is
            node = _replace(node, needs=tuple(need for need in node.needs if need in have))
        elif missing := [need for need in node.needs if need not in have]:
            reason = f"needs {missing[0]}, which is left out"
        if not reason:
            have.add(node.id)
        yield node, reason


def _closure(nodes: list[Node], kinds: tuple[str, ...]) -> set[str]:
    """Tasks of *kinds* and all that they need."""
    found: set[str] = set()
    for node in reversed(nodes):
        if node.kind in kinds or node.id in found:
            found |= {node.id, *(node.needs if node.kind not in CLOSING else ())}
    return found


CLOSING = ("metadata", "publish")

#: Why a gate of bootc is not run.
NO_BOOTC = "not applicable: the image has no bootc"


def _replace(node: Node, **changes: Any) -> Node:
    from dataclasses import replace

    return replace(node, **changes)


def _all_nodes(manifest: Manifest, options: Options, digests: Mapping[str, str]) -> Iterator[Node]:
    """In an order in which nothing comes before what it needs."""
    opening = list(_opening(manifest, options, digests))
    yield from opening
    made: list[Node] = []
    for spec in manifest.specs:
        linted = linted_by(spec.variant) and "lint" not in options.skip
        nodes = _of_variant(manifest, spec, digests, linted=linted)
        made += (_replace(node, optional=True, part=key(spec)) for node in nodes) if spec.failable else nodes
    yield from made
    names = tuple(node.id for node in made)
    release = manifest.compose.release.model_dump(mode="json")
    about = {"release": release, "compose": manifest.compose.compose.model_dump(mode="json")}
    variants = {key(spec): _described(spec) for spec in manifest.specs}
    yield _node("metadata", "", needs=("lock", *names), params={**about, "variants": variants}, again=True,
                gathers=True)  # fmt: skip
    link = manifest.compose.publish.latest_link and not options.skip  # a gate that was left out has not passed
    publish = {"latest_link": link, "suite": manifest.compose.suite, **about}
    tags = {key(s): list(s.variant.outputs.container.tags) for s in manifest.specs if s.variant.outputs.container}
    ledgers = {key(spec): spec.variant.users.ledger for spec in manifest.specs if spec.variant.users.ledger}
    yield _node(
        "publish", "", needs=("lock", *names, "metadata"), params={**publish, "variants": variants, "tags": tags},
        context={"ledgers": ledgers}, again=True, gathers=True,
    )  # fmt: skip


#: Both forms of the SBOM: what was composed before there was a choice keeps its identity.
SBOMS = ("spdx", "cyclonedx")


def _described(spec: VariantSpec) -> dict[str, Any]:
    """A variant as metadata and publishing see it."""
    told: dict[str, Any] = {"name": spec.name, "arch": spec.arch, "ref": spec.variant.ref}
    told |= {"failable": True} if spec.failable else {}
    return told if set(spec.variant.sbom) == set(SBOMS) else {**told, "sbom": sorted(set(spec.variant.sbom))}


def _opening(manifest: Manifest, options: Options, digests: Mapping[str, str]) -> Iterator[Node]:
    """Sources, the request, the lock. A given lock needs no builds: it names their results."""
    compose = manifest.compose
    arches = sorted({spec.arch for spec in manifest.specs})
    sources: list[Node] = []
    params: dict[str, Any]
    for build in compose.builds if options.locked is None else ():
        params = {
            "origin": "archive" if build.archive else "directory",
            "what": build.archive or digests[build.source or ""],
            "label": build.label, "suffix": build.suffix, "preset": f"debian-{compose.suite}-{arches[0]}",
        }  # fmt: skip
        sources.append(_node("source", build.label, params=params, context={"path": build.source}))
    yield from sources
    target = compose.hub.target or f"{compose.suite}-local"
    needs: tuple[str, ...] = ()
    if sources:
        params = {"target": target, "suite": compose.suite, "arches": arches}
        yield _node("request", "", needs=tuple(node.id for node in sources), params=params)
        needs = ("request",)
    params = {
        "suite": compose.suite, "security": compose.security, "updates": compose.updates, "pin": compose.hub.pin,
        "sources": [source.model_dump(mode="json", by_alias=True, exclude={"snapshot"}) for source in compose.sources],
        "release": compose.release.version, "locked": options.locked,
        "suite_name": compose.hub.target if options.locked is None else None,
        "variants": {key(spec): _asked(spec, digests) for spec in manifest.specs},
        "recipe": _recipe(manifest, digests), **past.described(manifest),
        **({} if compose.hub.event == "latest" else {"hub_event": compose.hub.event}),
    }  # fmt: skip
    yield _node("lock", "", needs=needs, params=params, context={"origins": _origins(manifest), "hub": None})


def _asked(spec: VariantSpec, digests: Mapping[str, str]) -> dict[str, Any]:
    variant = spec.variant
    ids = digests.get(variant.users.ledger or "", "") or "".join(f"{line}\n" for line in variant.users.ids)
    return {
        "arch": spec.arch, "packages": _unique(variant.packages), "exclude": _unique(variant.exclude_packages),
        "recommends": variant.recommends, "ids": ids,
        **({"ids_of_previous": True} if variant.users.previous else {}),
        **({"failable": True} if spec.failable else {}),
        **({"below": variant.base.model_dump(mode="json")} if variant.base else {}), **_filesystem(variant),
    }  # fmt: skip


def _filesystem(variant: Variant) -> dict[str, str]:
    """Said where it is not ext4: what was made before there was a choice keeps its identity."""
    return {} if variant.outputs.filesystem == "ext4" else {"filesystem": variant.outputs.filesystem}


def _recipe(manifest: Manifest, digests: Mapping[str, str]) -> str:
    """SHA-256 over what decides the content of the trees beside their packages: a change is a new version."""
    trees = {key(spec): [spec.variant.ref, _tree_params(manifest, spec, digests)] for spec in manifest.specs}
    return hashlib.sha256(canonical(trees)).hexdigest()


def _tree_params(manifest: Manifest, spec: VariantSpec, digests: Mapping[str, str]) -> dict[str, Any]:
    variant = spec.variant
    content = variant.model_dump(mode="json", by_alias=True)
    return {
        "key": key(spec), "suite": manifest.compose.suite, "arch": spec.arch,
        "name": manifest.compose.release.name, "variant": spec.name,
        "units": content["units"], "kargs": content["kargs"],
        "layout": content["layout"], "var": content["var"], "os-release": content["os-release"],
        "ids-strict": variant.users.strict,
        "grow": variant.grow, "boot-files": files_digest(grow=variant.grow is not False),
        "files": [
            {"to": file.to, "mode": file.mode, "sha256": digests[file.source]} for file in variant.add_files
        ],
        **_of_content(content),
    }  # fmt: skip


def linted_by(variant: Variant) -> bool:
    """Whether its tree is judged before anything is made of it: by all lints, or by one alone."""
    return bool({"lint", "repoclosure"} & set(variant.tests))


#: Keys of the content that came later: said where they are used, so that what was made before keeps its identity.
LATER = ("documentation", "install-langs", "remove-from-packages", "remove-files", "postprocess", "boot")


def _of_content(content: Mapping[str, Any]) -> dict[str, Any]:
    unused = Tree().model_dump(mode="json", by_alias=True)
    return {key: content[key] for key in LATER if content[key] != unused[key]}


def _of_variant(manifest: Manifest, spec: VariantSpec, digests: Mapping[str, str], *, linted: bool) -> Iterator[Node]:
    """*linted*: nothing starts in a machine before the lints have passed."""
    name, variant = key(spec), spec.variant
    content = variant.model_dump(mode="json", by_alias=True)
    tree = f"tree.{name}"
    params: dict[str, Any]
    origins = {key: _lines(manifest, name, key) for key in ("postprocess", "remove-from-packages", "remove-files")}
    params = _tree_params(manifest, spec, digests)
    yield _node("tree", name, needs=("lock",), params=params, context={"origins": origins})
    if linted_by(variant):
        params = {"key": name, "waive": content["lint"]["waive"], **_filesystem(variant)}
        params |= {} if "lint" in variant.tests else {"only": ["repoclosure"]}
        yield _node("lint", name, needs=(tree, "lock"), params=params)
    commit = {
        "key": name, "ref": variant.ref, "sign": variant.outputs.ostree.sign, "arch": spec.arch,
        "suite": manifest.compose.suite,
    }  # fmt: skip
    yield _node("commit", name, needs=(tree, "lock"), params=commit)
    container = variant.outputs.container
    if container is not None:
        params = {"key": name, "arch": spec.arch, "suite": manifest.compose.suite, "ref": variant.ref}
        params |= {"output": container.model_dump(mode="json", by_alias=True), "title": manifest.compose.release.name}
        yield _node("container", name, needs=(tree, "lock"), params=params)
        yield _node(
            "replay", name, needs=(f"container.{name}", f"commit.{name}"),
            params={"key": name, "suite": manifest.compose.suite},
        )  # fmt: skip
    images = [image.model_dump(mode="json", by_alias=True) for image in variant.outputs.images]
    wanted = set(variant.tests)
    first = (f"lint.{name}",) if linted else ()
    gate: dict[str, Any] = {"key": name, "arch": spec.arch, "suite": manifest.compose.suite, "ref": variant.ref}
    gate |= {"url": variant.outputs.ostree.url, "sign": variant.outputs.ostree.sign, "kargs": content["kargs"]}
    gate |= _filesystem(variant)
    if wanted & {"update", "rollback"}:
        params = {**gate, "rollback": "rollback" in wanted, "required": variant.require_previous}
        yield _node("update", name, needs=(f"commit.{name}", "lock", tree, *first), params=params)
    if images or wanted & {"boot", "fallback"}:
        params = {"key": name, "arch": spec.arch, "suite": manifest.compose.suite, "ref": variant.ref}
        params |= {"url": variant.outputs.ostree.url, "sign": variant.outputs.ostree.sign}
        params |= {"images": images, "kargs": content["kargs"], "short": manifest.compose.release.short}
        yield _node("image", name, needs=(f"commit.{name}", "lock", tree), params=params)
        if "boot" in wanted:
            yield _node(
                "boot", name, needs=(f"image.{name}", f"commit.{name}", tree, *first),
                params={"key": name, "arch": spec.arch, "grow": variant.grow},
            )  # fmt: skip
        if "fallback" in wanted:
            needs = (f"image.{name}", f"commit.{name}", "lock", tree, *first)
            yield _node("fallback", name, needs=needs, params=gate)
    if container is not None:
        yield from _of_bootc(name, variant, gate, first)


def _of_bootc(name: str, variant: Variant, gate: Mapping[str, Any], first: tuple[str, ...]) -> Iterator[Node]:
    """What the image's own bootc is asked to do beside each of our gates, if it turns out to have one."""
    tree = f"tree.{name}"
    needs = (f"container.{name}", f"commit.{name}", "lock", tree, *first)
    only_if = OnlyIf(tree, "bootc", NO_BOOTC)
    if "boot" in variant.tests:
        yield _node("bootc-install", name, needs=(f"image.{name}", *needs), params=gate, only_if=only_if)
    if "update" in variant.tests:
        params = {**gate, "rollback": "rollback" in variant.tests, "required": variant.require_previous}
        yield _node("bootc-upgrade", name, needs=needs, params=params, only_if=only_if)


def _node(kind: str, suffix: str, **fields: Any) -> Node:
    name = f"{kind}.{suffix}" if suffix else kind
    return Node(id=name, kind=kind, version=KINDS[kind], **fields)


def _origins(manifest: Manifest) -> dict[str, dict[str, str]]:
    """For each variant: package → file:line, to say where an unknown one was named."""
    found: dict[str, dict[str, str]] = {}
    for spec in manifest.specs:
        prefix = f"variants.{key(spec)}.packages"
        lines = [manifest.origins.get(f"{prefix}.{index}", "") for index in range(len(spec.variant.packages))]
        found[key(spec)] = dict(zip(spec.variant.packages, lines, strict=True))
    return found


def _lines(manifest: Manifest, variant: str, key: str) -> list[str]:
    """Where each item of the list *key* stands, as file:line; of an item that is a list, its first."""
    lines: list[str] = []
    while True:
        at = f"variants.{variant}.{key}.{len(lines)}"
        line = manifest.origins.get(at) or manifest.origins.get(f"{at}.0")
        if line is None:
            return lines
        lines.append(line)


def _unique(names: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(names))
