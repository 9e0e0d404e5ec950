"""A variant of two architectures: its index is made when the compose publishes, and found by the verb."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

import pytest

from deb_bootc_compose.cli.publish import whole_images
from deb_bootc_compose.cli.status import describe
from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.journal import Journal
from deb_bootc_compose.oci.image import ImageConfig, make_config
from deb_bootc_compose.oci.writer import write
from deb_bootc_compose.previous import parents_of
from deb_bootc_compose.publish.outputs import CommitOutput, ImageOutput, load_outputs
from deb_bootc_compose.publish.repository import publish_commit
from deb_bootc_compose.report.gather import load_facts
from deb_bootc_compose.tasks.metadata import standing
from deb_bootc_compose.tasks.publish import drop_output, known_hashes, make_indexes, remove_leftovers
from deb_bootc_compose.worker import Task
from debcore.errors import Failure
from tests.unit.deb_bootc_compose.report.world import make_compose


def add_image(compose: ComposeDirectory, name: str, arch: str) -> dict[str, Any]:
    tree, out = compose.work / f"tree.{name}.{arch}", compose.output / name / arch / "oci"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/arch").write_text(arch)
    out.mkdir(parents=True, exist_ok=True)
    made = write(
        config=make_config(ImageConfig(version="1", timestamp=0), arch), annotations={}, tag="", compression="zstd",
        max_layers=8, previous={}, tree=str(tree), out=str(out),
    )  # fmt: skip
    return {"path": str(out.relative_to(compose.path)), "digest": f"sha256:{made['digest']}"}


@pytest.fixture
def compose(tmp_path: Path) -> ComposeDirectory:
    return make_compose(tmp_path)


def publish_task(compose: ComposeDirectory, *keys: str) -> Task:
    pairs = {key: key.split(".") for key in keys}
    document = {
        "task": "publish", "context": {},
        "params": {
            "variants": {key: {"name": name, "arch": arch, "ref": "r"} for key, (name, arch) in pairs.items()},
            "tags": {key: ["13", "latest"] for key in keys},
        },
        "inputs": {f"container.{key}": {"value": add_image(compose, *pair)} for key, pair in pairs.items()},
    }  # fmt: skip
    return Task(compose, document, io.BytesIO())


def test_only_what_has_several_architectures_gets_an_index(compose: ComposeDirectory) -> None:
    task = publish_task(compose, "server.amd64", "server.arm64", "desktop.amd64")
    (name, made), *others = make_indexes(task).items()
    assert (name, others) == ("server", [])
    assert made["path"] == "compose/server/oci"
    assert made["arches"] == ["amd64", "arm64"]
    assert make_indexes(task)["server"] == made  # a publication that was killed is made again
    known = known_hashes(task)
    assert known[f"server/oci/blobs/sha256/{made['digest'][7:]}"] == made["digest"][7:]


def test_the_verb_takes_the_index_in_place_of_its_parts(compose: ComposeDirectory) -> None:
    made = make_indexes(publish_task(compose, "server.amd64", "server.arm64"))
    journal = Journal(compose.journal_path)
    journal.append(
        "task.finished", task="publish", identity="0", seconds=1, result={"value": {"indexes": made}}, files=[]
    )
    journal.close()
    found = load_outputs(compose).images
    (index,) = whole_images(found)
    assert (index.variant, index.digest, index.tags, index.is_index) == (
        "server", made["server"]["digest"], ("13", "latest"), True,
    )  # fmt: skip
    assert index.layout == compose.path / "compose/server/oci"
    assert [image.variant for image in found] == ["server", "server.amd64"]
    other = ImageOutput("desktop.amd64", "sha256:x", compose.path, ())
    assert whole_images([*found, other]) == [index, other]


def test_a_compose_of_before_has_none(compose: ComposeDirectory) -> None:
    assert [image.is_index for image in load_outputs(compose).images] == [False]
    assert json.loads((compose.output / "server/amd64/oci/index.json").read_bytes())


def test_files_that_a_killed_task_was_writing_do_not_go_out(tmp_path: Path) -> None:
    names = ["metadata/.images.json.ab_1cd2e", "metadata/images.json", "server/amd64/oci/.index.json.00000000",
             "server/amd64/ostree/repo/.lock.abcdefgh", ".SHA256SUMS.xxxxxxxx"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["metadata/images.json", "server/amd64/ostree/repo/.lock.abcdefgh"]


def test_a_compose_whose_repository_is_gone_is_named_before_anything_is_pulled(tmp_path: Path) -> None:
    made = CommitOutput("server.amd64", "c" * 64, "r", "13", tmp_path / "repo", None)
    said: list[str] = []
    with pytest.raises(Failure, match="repo is gone: the compose has no commit"):
        publish_commit(cast(Any, None), made, keep=1, delta=False, allow_older=False, say=said.append)
    assert said == []


def test_what_was_allowed_to_fail_is_in_nothing_that_goes_out(compose: ComposeDirectory) -> None:
    task = publish_task(compose, "server.amd64", "server.arm64")
    for variant in task.params["variants"].values():
        variant["failable"] = True
    assert standing(task)[1] == []
    task.inputs = {name: value for name, value in task.inputs.items() if name != "container.server.arm64"}
    variants, fallen = standing(task)
    assert (list(variants), fallen) == (["server.amd64"], ["server.arm64"])
    (compose.output / "server/arm64/images").mkdir()
    drop_output(task, "server.arm64")
    assert not (compose.output / "server/arm64").exists()
    assert (compose.output / "server/amd64/oci/index.json").is_file()
    assert make_indexes(task) == {}


def test_an_incomplete_compose_is_published_if_only_that_failed(compose: ComposeDirectory) -> None:
    (compose.path / "STATUS").write_text(f"{Status.FINISHED_INCOMPLETE}\n")
    with pytest.raises(Failure, match="left out a gate"):
        load_outputs(compose)
    journal = Journal(compose.journal_path)
    value = {"indexes": {}, "left_out": ["server.amd64"]}
    journal.append("task.finished", task="publish", identity="0", seconds=1, result={"value": value}, files=[])
    journal.close()
    outputs = load_outputs(compose)
    assert (outputs.images, outputs.commits) == ((), ())
    assert parents_of(compose) == {}
    (facts,) = load_facts(compose, status="FINISHED_INCOMPLETE").variants
    assert (facts.commit, facts.disks, facts.tags) == ({}, (), ())
    assert describe(compose)["note"] == "left out, as it failed: server.amd64"
    document = json.loads(compose.manifest_path.read_bytes())
    document["options"]["skip"] = ["boot"]
    compose.manifest_path.write_text(json.dumps(document))
    with pytest.raises(Failure, match="left out a gate"):
        load_outputs(compose)
