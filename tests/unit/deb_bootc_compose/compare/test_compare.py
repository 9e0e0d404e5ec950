from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.cli import group
from deb_bootc_compose.compare import changelog, text
from deb_bootc_compose.compare.changelog import entries_between, load_changelog, parse_entries
from deb_bootc_compose.compare.composes import Difference, Side, compare, load_side
from deb_bootc_compose.compare.layers import compare_layers
from deb_bootc_compose.compare.packages import compare_packages, download_size
from deb_bootc_compose.lock import Lock, LockedPackage, LockedVariant
from debcore.command import run
from debcore.errors import ConfigError, Failure

CHANGELOG = """\
tool (1:2.0-2) trixie-security; urgency=high, binary-only=no

  * Read no further than the end (CVE-2026-11111, CVE-2026-22222).
    (Closes: #101, bug#102)

 -- A Maintainer <a@example.org>  Thu, 26 Nov 2026 10:00:00 +0000

tool (1:2.0-1) trixie; urgency=medium

  [ A Maintainer ]
  * New upstream release.\x1b[31m

 -- A Maintainer <a@example.org>  Thu, 19 Nov 2026 10:00:00 +0000

tool (1.9-1) trixie; urgency=low

  * Old. CVE-2020-00000

 -- A Maintainer <a@example.org>  Thu, 19 Nov 2020 10:00:00 +0000

Old Changelog:
whatever it was
"""


def package(name: str, version: str, *, source: str | None = None, size: int = 10, salt: str = "") -> LockedPackage:
    digest = hashlib.sha256(f"{name}{version}{salt}".encode()).hexdigest()
    return LockedPackage(name=name, version=version, arch="amd64", sha256=digest, size=size, source=source)


def lock(*packages: LockedPackage, variant: str = "server.amd64") -> Lock:
    made = LockedVariant(asked=(), base=packages, archive=(), hub=())
    return Lock(
        schema="deb-bootc-compose-lock/1",
        suite="trixie",
        timestamp=1,
        version="13",
        releases={},
        variants={variant: made},
    )


def keyed(*packages: LockedPackage) -> dict[str, LockedPackage]:
    return {f"{p.name}:{p.arch}": p for p in packages}


def test_every_kind_of_change() -> None:
    before = keyed(
        package("libtool1", "1:1.9-1", source="tool"), package("tool", "1:1.9-1"), package("same", "1"),
        package("gone", "1"), package("down", "1.0"), package("again", "1.0"), package("tilde", "1.0~rc1"),
    )  # fmt: skip
    after = keyed(
        package("libtool1", "1:2.0-2", source="tool", size=5), package("tool", "1:2.0-2", size=7), package("same", "1"),
        package("new", "1", size=100), package("down", "1.0~beta"), package("again", "1.0", salt="x"),
        package("tilde", "1.0"),
    )  # fmt: skip
    changes = compare_packages(before, after)
    assert [(c.kind, c.source, c.before, c.after, [one.name for one in c.changes]) for c in changes] == [
        ("upgraded", "tilde", "1.0~rc1", "1.0", ["tilde"]),
        ("upgraded", "tool", "1:1.9-1", "1:2.0-2", ["libtool1", "tool"]),
        ("downgraded", "down", "1.0", "1.0~beta", ["down"]),
        ("rebuilt", "again", "1.0", "1.0", ["again"]),
        ("added", "new", None, "1", ["new"]),
        ("removed", "gone", "1", None, ["gone"]),
    ]
    assert download_size(changes) == 10 + 5 + 7 + 10 + 10 + 100
    assert compare_packages(after, after) == ()


def test_entries_of_a_changelog() -> None:
    entries = list(parse_entries(CHANGELOG))
    assert [(e.version, e.urgency) for e in entries] == [("1:2.0-2", "high"), ("1:2.0-1", "medium"), ("1.9-1", "low")]
    assert entries[0].lines == (
        "* Read no further than the end (CVE-2026-11111, CVE-2026-22222).", "  (Closes: #101, bug#102)",
    )  # fmt: skip
    assert entries[0].cves == ("CVE-2026-11111", "CVE-2026-22222")
    assert entries[0].bugs == (101, 102)
    assert entries[1].bugs == ()
    assert list(parse_entries("")) == list(parse_entries("no changelog\n at all")) == []


@pytest.mark.parametrize(
    ("before", "after", "versions"),
    [
        ("1.9-1", "1:2.0-2", ["1:2.0-2", "1:2.0-1"]),
        ("1.9-1", "1:2.0-1", ["1:2.0-1"]),  # the changelog at hand is of a newer build
        ("1:2.0-2", "1:2.0-2", []),
        ("0", "1:2.0-2", ["1:2.0-2", "1:2.0-1", "1.9-1"]),
    ],
)
def test_entries_between_two_versions(before: str, after: str, versions: list[str]) -> None:
    assert [entry.version for entry in entries_between(CHANGELOG, before, after)] == versions


def test_an_entry_without_a_version_that_dpkg_knows_is_shown() -> None:
    odd = CHANGELOG.replace("(1:2.0-1)", "(_odd_)")
    assert [entry.version for entry in entries_between(odd, "1.9-1", "1:2.0-2")] == ["1:2.0-2", "_odd_"]


def make_deb(directory: Path, files: dict[str, bytes]) -> Path:
    root = directory / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: tool\nVersion: 1:2.0-2\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: x\n"
    )
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    path = directory / "tool.deb"
    run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", root, path])
    return path


DOC = "usr/share/doc/tool/"


def test_the_changelog_in_a_deb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian, upstream = gzip.compress(CHANGELOG.encode()), gzip.compress(b"upstream's")
    deb = make_deb(tmp_path, {f"{DOC}changelog.Debian.gz": debian, f"{DOC}changelog.gz": upstream})
    assert load_changelog(deb, package="tool", arch="amd64") == CHANGELOG
    assert load_changelog(deb, package="other", arch="amd64") is None
    monkeypatch.setattr(changelog, "MAX_CHANGELOG", len(CHANGELOG) - 1)
    with pytest.raises(Failure, match="larger than"):
        load_changelog(deb, package="tool", arch="amd64")


def test_a_damaged_changelog(tmp_path: Path) -> None:
    deb = make_deb(tmp_path, {f"{DOC}changelog.gz": gzip.compress(CHANGELOG.encode())[:40]})
    with pytest.raises(Failure, match="its changelog is damaged"):
        load_changelog(deb, package="tool", arch="amd64")


class OneDeb:
    def __init__(self, deb: Path | None) -> None:
        self.deb = deb
        self.asked: list[str] = []

    def prefetch(self, packages: Sequence[LockedPackage]) -> None:
        self.asked += [package.name for package in packages]

    def find(self, package: LockedPackage) -> Path | None:
        return self.deb if package.name == "tool" else None


def layer(name: str, digest: str, size: int) -> dict[str, object]:
    return {"name": name, "digest": digest, "size": size}


def difference(tmp_path: Path) -> Difference:
    deb = make_deb(tmp_path, {f"{DOC}changelog.Debian.gz": gzip.compress(CHANGELOG.encode())})
    old = lock(package("tool", "1.9-1"), package("libtool1", "1.9-1", source="tool"), package("same", "1"))
    new = lock(package("tool", "1:2.0-2"), package("libtool1", "1:2.0-2", source="tool", size=1), package("same", "1"))
    before = Side("A-1", old, {"server.amd64": [layer("libc", "a", 1000), layer("tool", "b", 10), layer("x", "c", 1)]})
    after = Side("A-2", new, {"server.amd64": [layer("libc", "a", 1000), layer("tool", "d", 2_000_000)]})
    debs = OneDeb(deb)
    made = compare(before, after, debs)
    assert debs.asked == ["libtool1"]
    return made


def test_what_a_person_sees(tmp_path: Path) -> None:
    shown = list(text.lines(difference(tmp_path)))
    assert shown[0] == "A-1 → A-2"
    assert "server.amd64: 2 upgraded; 0.0 MB of .debs" in shown
    fixes = "CVE-2020-00000"
    assert "    tool 1.9-1 → 1:2.0-2 (libtool1, tool)  fixes CVE-2026-11111, CVE-2026-22222" in shown
    assert not any(fixes in line for line in shown)
    assert not any("\x1b" in line for line in shown)
    assert "  image: 1 of 2 layers are new: an update fetches 2.0 MB of 2.0 MB" in shown
    assert "        2.0 MB  tool (was 0.0 MB)" in shown
    assert "          gone  x" in shown


def test_the_document(tmp_path: Path) -> None:
    document = json.loads(json.dumps(text.document(difference(tmp_path))))
    (change,) = document["variants"]["server.amd64"]["packages"]
    assert change["change"] == "upgraded"
    assert [entry["cves"] for entry in change["changelog"]] == [["CVE-2026-11111", "CVE-2026-22222"], []]
    assert change["changelog"][0]["closes"] == [101, 102]
    layers = document["variants"]["server.amd64"]["layers"]
    assert (layers["download"], layers["reused"], layers["removed"]) == (2_000_000, ["libc"], ["x"])


def test_equal_locks_and_variants_of_one_side() -> None:
    same = Side("a", lock(package("x", "1")), {})
    assert list(text.lines(compare(same, same, None)))[-1] == "server.amd64: the same packages"
    other = Side("b", lock(package("x", "1"), variant="desktop.amd64"), {})
    shown = list(text.lines(compare(same, other, None)))
    assert shown == ["a → b", "desktop.amd64: only in b", "server.amd64: only in a"]


def test_layers_of_which_only_the_name_is_new() -> None:
    changes = compare_layers([layer("a", "1", 5)], [layer("b", "1", 5)])
    assert changes.download == 0
    assert changes.removed == ("a",)


def test_a_side_is_a_lock_or_a_compose(tmp_path: Path) -> None:
    path = tmp_path / "compose.lock.json"
    path.write_text(lock(package("x", "1")).document())
    assert load_side(str(path), []).lock.suite == "trixie"
    compose = tmp_path / "server-13-20261127.0"
    (compose / "compose/metadata").mkdir(parents=True)
    (compose / "COMPOSE_ID").write_text(compose.name)
    (compose / "lock.json").write_text(lock(package("x", "1")).document())
    assert load_side(compose.name, [tmp_path]) == Side(compose.name, lock(package("x", "1")), {})
    (compose / "compose/metadata/layers.json").write_text('{"payload": []}')
    with pytest.raises(Failure, match="is damaged"):
        load_side(compose.name, [tmp_path])
    with pytest.raises(Failure, match="no compose directory"):
        load_side("nothing", [tmp_path])


def test_read_first_file_of_a_deb_takes_the_more_telling(tmp_path: Path) -> None:
    from debcore.deb import read_first_file

    deb = make_deb(tmp_path, {"a": b"1", "b": b"2"}).read_bytes()
    assert read_first_file(io.BytesIO(deb), ["b", "a"], where="x", limit=10) == b"2"
    assert read_first_file(io.BytesIO(deb), ["c", "a"], where="x", limit=10) == b"1"
    assert read_first_file(io.BytesIO(deb), ["c"], where="x", limit=10) is None
    with pytest.raises(Failure, match="has 1 bytes"):
        read_first_file(io.BytesIO(deb), ["a"], where="x", limit=0)


def test_the_verbs(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(lock(package("x", "1")).document())
    new.write_text(lock(package("x", "2")).document())
    called = CliRunner().invoke(group, ["lock", "diff", str(old), str(new), "--no-changelogs"])
    assert called.output.splitlines()[-2:] == ["  upgraded", "    x 1 → 2"]
    same = CliRunner().invoke(group, ["diff", str(old), str(new), "--no-changelogs"])
    assert same.output == called.output
    as_json = CliRunner().invoke(group, ["diff", str(old), str(new), "--no-changelogs", "--json"])
    assert json.loads(as_json.output)["schema"] == "deb-bootc-compose-diff/1"


def test_a_manifest_is_locked_without_a_verb(tmp_path: Path) -> None:
    for words in (["lock", str(tmp_path / "none")], ["lock", "make", str(tmp_path / "none")]):
        failed = CliRunner().invoke(group, words).exception
        assert isinstance(failed, ConfigError)
        assert str(tmp_path / "none") in str(failed)
    assert "update" in CliRunner().invoke(group, ["lock", "--help"]).output


def test_names_in_a_lock_do_not_steer_the_terminal() -> None:
    before, after = lock(package("x", "1")), lock(package("x", "2", source="x\x1b[2J"))
    shown = "\n".join(text.lines(compare(Side("a\x1b[1m", before, {}), Side("b", after, {}), None)))
    assert "\x1b" not in shown
    assert "x\\x1b[2J 1 → 2" in shown
