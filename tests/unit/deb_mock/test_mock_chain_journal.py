"""What the directory of a chain remembers, and what it does not believe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deb_mock.chain.graph import Node
from deb_mock.chain.journal import Asked, Journal
from deb_mock.chain.members import Member
from deb_mock.changelog import parse_changelog
from deb_mock.source import DirectorySource
from debcore.errors import Failure
from debcore.job import JobDirectory, Result, Status

ENTRY = parse_changelog(
    "aa (1:1.0-1) trixie; urgency=medium\n\n  * X.\n\n -- T <t@e.org>  Thu, 01 Jan 2026 00:00:00 +0000\n", where="x"
)
MEMBER = Member(Node("aa", "1:1.0-1", (), ()), DirectorySource(Path("/nowhere"), ENTRY), "0" * 64, "")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@pytest.fixture
def built(journal: Journal) -> Path:
    """The directory of MEMBER, built with the identity `one`."""
    directory = journal.begin(MEMBER, "one")
    (directory / "aa_1_all.deb").write_bytes(b"content")
    outputs = (JobDirectory(directory).output("aa_1_all.deb", "deb"),)
    JobDirectory(directory).write_result(Result(job="aa", status=Status.BUILT, outputs=outputs))
    return directory


def test_the_command_line_comes_back_as_it_was(journal: Journal) -> None:
    asked = Asked(what=("/a", "b"), preset="trixie", options={"build": {"profiles": ["nocheck"]}}, keep_going=True)
    journal.write_asked(asked)
    assert journal.load_asked() == asked


@pytest.mark.parametrize("content", [None, "", "{", '{"format": 2, "what": []}', '{"what": ["a"], "unknown": 1}'])
def test_a_directory_without_a_sound_record_is_no_chain(journal: Journal, content: str | None) -> None:
    if content is not None:
        (journal.path / "chain.json").write_text(content)
    with pytest.raises(Failure, match=r"no chain\.json"):
        journal.load_asked()


def test_what_is_built_is_done(journal: Journal, built: Path) -> None:
    assert built.name == "aa_1.0-1"  # no epoch, as in file names
    done = journal.find_done(MEMBER, "one")
    assert done is not None
    assert journal.debs(MEMBER, done) == (built / "aa_1_all.deb",)


def damage(directory: Path) -> None:
    (directory / "aa_1_all.deb").write_bytes(b"CONTENT")  # of the same size


def tear(directory: Path) -> None:
    record = directory / "result.json"
    record.write_bytes(record.read_bytes()[:-20])


def fail(directory: Path) -> None:
    JobDirectory(directory).write_result(Result(job="aa", status=Status.FAILED))


@pytest.mark.parametrize(
    "change",
    [damage, tear, fail, lambda d: (d / "aa_1_all.deb").unlink(), lambda d: (d / "member.json").unlink(),
     lambda d: (d / "result.json").unlink()],
    ids=["damaged", "torn", "failed", "no package", "no identity", "no result"],
)  # fmt: skip
def test_anything_less_is_not(journal: Journal, built: Path, change: Callable[[Path], None]) -> None:
    change(built)
    assert journal.find_done(MEMBER, "one") is None


def test_another_identity_is_another_build(journal: Journal, built: Path) -> None:
    assert journal.find_done(MEMBER, "two") is None
    journal.begin(MEMBER, "two")
    assert [path.name for path in built.iterdir()] == ["member.json"]


def test_forgetting_keeps_the_files(journal: Journal, built: Path) -> None:
    journal.forget()
    assert journal.find_done(MEMBER, "one") is None
    assert (built / "aa_1_all.deb").exists()


def test_a_directory_of_somebody_else_is_not_removed(journal: Journal) -> None:
    (journal.path / "aa_1.0-1").mkdir()
    (journal.path / "aa_1.0-1" / "thesis.txt").touch()
    with pytest.raises(Failure, match="not of a chain"):
        journal.begin(MEMBER, "one")
    assert (journal.path / "aa_1.0-1" / "thesis.txt").exists()


def test_one_chain_at_a_time(journal: Journal) -> None:
    with journal.held(), pytest.raises(Failure, match="another chain"), Journal(journal.path).held():
        pass
    with journal.held():
        pass


@pytest.mark.parametrize("word", ["hostname", "hostname=3.25", "https://example.org/../x_1.dsc?a=b"])
def test_what_was_fetched_is_found_again_and_stays_inside(journal: Journal, word: str) -> None:
    assert journal.find_fetched(word) is None
    with journal.fetching(word) as place:
        (place / "x_1.dsc").touch()
    found = journal.find_fetched(word)
    assert found is not None
    assert found.is_relative_to(journal.path / "sources")
    with pytest.raises(RuntimeError), journal.fetching(word):
        raise RuntimeError
    assert journal.find_fetched(word) is None
