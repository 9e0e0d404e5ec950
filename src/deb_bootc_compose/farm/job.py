"""The builder's side: a tree is made from a job directory of kind `task`, and packed.

job.json names the tree by its id and, among its inputs, spec.json and each .deb by its hash. The id holds the code that
makes trees as well: a builder with another version says so and leaves the job to others.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deb_bootc_compose.farm.pack import pack_tree
from deb_bootc_compose.tree.make import TreeSpec, make_tree, tree_id
from deb_bootc_compose.tree.spec import options_from_json, options_to_json
from debcore.errors import ConfigError, Failure, HostFailed, Interrupted
from debcore.job import FailureReport, Job, JobDirectory, Result, Status
from debcore.trace import tracing
from debroot.store import Package, Store

log = logging.getLogger(__name__)

SPEC, TREE = "spec.json", "tree.tar.zst"
#: Of a package, what decides a tree's content and records.
FIELDS = ("name", "version", "arch", "sha256", "size", "source", "source_version")
STAGES = ("base", "archive", "hub")
STATUS = {3: Status.INVALID, 4: Status.FAILED, 5: Status.DEPS, 6: Status.HOST, 7: Status.LIMIT}


def deb_path(package: Package) -> str:
    """Below the job directory."""
    return f"debs/{package.sha256}"


def spec_to_json(spec: TreeSpec) -> dict[str, Any]:
    """Errors: Failure for a derivative: the tree below it is in no .deb."""
    if spec.below is not None:
        raise Failure("a derivative's tree is not made on the farm", hint="compose it without --farm")
    packages = {
        stage: [{field: asdict(package)[field] for field in FIELDS} for package in getattr(spec, stage)]
        for stage in STAGES
    }
    return {"suite": spec.suite, "arch": spec.arch, **packages, "finish": options_to_json(spec.finish)}


def spec_from_json(data: Mapping[str, Any]) -> TreeSpec:
    """The reverse. Errors: KeyError, TypeError, ValueError, Failure if it is not of our making."""
    base, archive, hub = (tuple(Package(**fields) for fields in data[stage]) for stage in STAGES)
    return TreeSpec(
        suite=data["suite"], arch=data["arch"], base=base, archive=archive, hub=hub,
        finish=options_from_json(data["finish"]),
    )  # fmt: skip


def packages_of(spec: TreeSpec) -> Sequence[Package]:
    """All .debs that it takes, each once."""
    found = {package.sha256: package for stage in STAGES for package in getattr(spec, stage)}
    return [found[sha256] for sha256 in sorted(found)]


def run_job(path: Path) -> int:
    """Do the job in the directory *path*; the exit status of its result. SIGTERM cancels: the result says so.

    Errors: Failure if there is no job.json to answer.
    """
    directory = JobDirectory(path.absolute())
    job = directory.load_job()
    with tracing(job.trace):
        try:
            result = _make(job, directory)
        except Interrupted as stop:
            result = _refuse(job, Status.CANCELLED, f"stopped by {stop}", "")
        except OSError as error:
            result = _refuse(job, Status.HOST, str(error), "")
        except Failure as failure:
            result = _refuse(job, STATUS[failure.status], str(failure), failure.hint)
        directory.write_result(result)
    return result.status.exit_status


def _make(job: Job, directory: JobDirectory) -> Result:
    if job.kind != "task" or job.task.get("kind") != "tree":
        raise ConfigError("job.json:task", "deb-bootc-compose makes trees, and no other tasks of the farm")
    try:
        spec = spec_from_json(json.loads((directory.path / SPEC).read_bytes()))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(SPEC, f"is no tree of this version: {error}") from error
    if tree_id(spec) != job.task.get("tree"):
        raise HostFailed(
            "this builder's deb-bootc-compose makes trees otherwise than the compose's",
            hint="both need the same version",
        )
    store = Store.open()
    store.keep_pool()
    for package in store.missing(packages_of(spec)):
        store.add_deb(directory.path / deb_path(package), sha256=package.sha256)
    tree = make_tree(store, spec, log=directory.log_path)
    with store.using(tree.layer):
        pack_tree(store, tree.root, directory.path / TREE)
    outputs = [directory.output(TREE)]
    if directory.log_path.is_file():
        outputs.append(directory.output(directory.log_path.name, "log"))
    return Result(
        job=job.job, attempt=job.attempt, status=Status.BUILT, outputs=tuple(outputs), arch=spec.arch,
    )  # fmt: skip


def _refuse(job: Job, status: Status, message: str, hint: str) -> Result:
    log.info("%s", message)
    failure = FailureReport(stage="tree", kind="tree", message=message[:4000], hint=hint)
    return Result(job=job.job, attempt=job.attempt, status=status, failure=failure)
