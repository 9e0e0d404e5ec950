"""What a finished compose has to publish, out of its journal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.fallen import is_whole_but_failable
from deb_bootc_compose.journal import read_results
from deb_bootc_compose.oci.artifacts import Attachment
from debcore.errors import Failure


@dataclass(frozen=True)
class CommitOutput:
    variant: str  #: NAME.ARCH
    commit: str
    ref: str
    version: str
    repo: Path
    key: str | None  #: fingerprint of who signed it


@dataclass(frozen=True)
class ImageOutput:
    variant: str
    digest: str  #: sha256:…
    layout: Path
    tags: tuple[str, ...]  #: of the manifest, as the layout has them
    is_index: bool = False  #: of several architectures; `variant` is then NAME


@dataclass(frozen=True)
class Outputs:
    compose: str
    suite: str
    commits: tuple[CommitOutput, ...]
    images: tuple[ImageOutput, ...]
    left_out: frozenset[str] = frozenset()  #: documents that the manifest does not want


def load_outputs(compose: ComposeDirectory, *, incomplete: bool = False) -> Outputs:
    """Errors: Failure if the compose has not finished, or if gates were left out and *incomplete* is not said.

    A status alone is not believed: each gate that the manifest names must have its result in the journal.
    """
    status = compose.status()
    if status is Status.FINISHED_INCOMPLETE and not incomplete and not is_whole_but_failable(compose):
        raise Failure(
            f"{compose.id} left out a gate: it is not known to boot",
            hint="compose it whole, or publish it all the same with --incomplete",
        )
    if not status.is_final:
        raise Failure(f"{compose.id} is {status}", hint=f"finish it first: deb-bootc-compose resume {compose.path}")
    values = read_results(compose.journal_path)
    try:
        manifest = json.loads(compose.manifest_path.read_bytes())["manifest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{compose.manifest_path} is damaged: {error}", hint="compose again") from error
    left_out = values.get("publish", {}).get("left_out", ())
    values = {task: one for task, one in values.items() if task.partition(".")[2] not in left_out}
    missing = [] if incomplete else list(missing_gates(manifest, values, left_out=left_out))
    if missing:
        raise Failure(
            f"{compose.id} has no result of {', '.join(missing)}",
            hint="compose it whole, or publish it all the same with --incomplete",
        )
    suite = manifest["compose"]["suite"]
    commits = tuple(
        CommitOutput(
            task.removeprefix("commit."),
            one["commit"],
            one["ref"],
            one["version"],
            compose.path / one["repo"],
            one["key"],
        )
        for task, one in values.items()
        if task.startswith("commit.")
    )
    made = values.get("publish", {}).get("indexes", {})
    indexes = (
        ImageOutput(name, one["digest"], compose.path / one["path"], _tags(compose, one), is_index=True)
        for name, one in made.items()
    )
    images = tuple(
        ImageOutput(task.removeprefix("container."), one["digest"], compose.path / one["path"], _tags(compose, one))
        for task, one in values.items()
        if task.startswith("container.")
    )
    return Outputs(compose.id, suite, commits, (*indexes, *images), frozenset(_left_out(manifest)))


def _left_out(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Names of SBOMs in a form that the variant does not want."""
    for spec in manifest.get("specs", ()):
        for form, end in (("cyclonedx", ".cdx.json"), ("spdx", ".spdx.json")):
            if form not in spec["variant"].get("sbom", (form,)):
                yield f"{spec['name']}.{spec['arch']}{end}"


#: Documents about one image below compose/metadata: the end of the name, the media type of the content.
DOCUMENTS = (
    (".cdx.json", "application/vnd.cyclonedx+json"),
    (".spdx.json", "application/spdx+json"),
    (".provenance.json", "application/vnd.in-toto+json"),
)


def load_attachments(compose: ComposeDirectory, outputs: Outputs) -> dict[str, list[Attachment]]:
    """What the compose says of its images, by their digests. Errors: Failure if a document is missing."""
    found: dict[str, list[Attachment]] = {}
    for image in outputs.images:
        if not image.is_index:
            for end, kind in DOCUMENTS:
                name = f"{image.variant}{end}"
                if name in outputs.left_out:
                    continue
                try:
                    content = (compose.metadata / name).read_bytes()
                except OSError as error:
                    raise Failure(
                        f"{outputs.compose} has no {name}", hint="push without documents: --no-attach"
                    ) from error
                found.setdefault(image.digest, []).append(Attachment(name, kind, content))
    return found


#: Words of `tests` that are done by the task of another.
WITHIN = {"update": "rollback", "lint": "repoclosure"}


def missing_gates(
    manifest: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]], *, left_out: Sequence[str] = ()
) -> Iterator[str]:
    """Tasks that the manifest's tests stand for and that never ended well, but for variants *left_out*."""
    for spec in manifest.get("specs", ()):
        key = f"{spec['name']}.{spec['arch']}"
        if key in left_out:
            continue
        tests = set(spec["variant"]["tests"])
        for kind in ("lint", "boot", "update", "fallback"):
            asked = kind in tests or WITHIN.get(kind) in tests
            if asked and f"{kind}.{key}" not in values:
                yield f"{kind}.{key}"
        if "bootc" in values.get(f"tree.{key}", {}) and spec["variant"]["outputs"]["container"]:
            for test, kind in (("boot", "bootc-install"), ("update", "bootc-upgrade")):
                if test in tests and f"{kind}.{key}" not in values:
                    yield f"{kind}.{key}"


def _tags(compose: ComposeDirectory, container: Mapping[str, Any]) -> tuple[str, ...]:
    index = json.loads((compose.path / container["path"] / "index.json").read_bytes())
    names = (one.get("annotations", {}).get("org.opencontainers.image.ref.name") for one in index["manifests"])
    return tuple(name for name in names if name)
