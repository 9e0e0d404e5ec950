"""What a booted system says, read and judged."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

import deb_bootc_compose.boot.report as module
from deb_bootc_compose.boot.report import (
    BootReport,
    is_complete,
    judge,
    parse_answers,
    parse_deployments,
    parse_report,
)
from debcore.command import run

COMMIT = "4c8998ea0e8bcf28cdc31f18025ced0995e53da55bbeb28e37be8c54e231ee66"
OLD = "0123456789abcdef" * 4
STATUS = f"""\
  debian {OLD}.1 (staged)
    Version: 3
    origin refspec: origin:debian/trixie
* debian {COMMIT}.0
    Version: 2
    origin refspec: origin:debian/trixie
    GPG: Signature made Sun Nov 22 21:00:00 2026 using EdDSA key ID 0123456789ABCDEF
  debian {OLD}.0 (rollback)
    Version: 1
    origin refspec: origin:debian/trixie
"""

GOOD = {
    "state": "running", "failed": "", "jobs": "", "kernel": "6.12", "cmdline": "rw", "secure-boot": " 1",
    "machine-id": "0" * 32, "ostree": f"* debian {COMMIT}.0\n    Version: 1\n", "package:systemd": "installed 257.13",
    "timestamps": "InitRDTimestampMonotonic=6641807\nUserspaceTimestampMonotonic=15652516",
    "multi-user": "ActiveState=active\nActiveEnterTimestampMonotonic=28968440",
    "mount:/": "ext4 rw,relatime", "mount:/usr": "ext4 ro,relatime", "mount:/sysroot": "ext4 ro",
    "mount:/etc": "ext4 rw", "mount:/var": "ext4 rw", "writable:/etc": "", "writable:/var": "",
}  # fmt: skip


def encode(answers: dict[str, str], status: dict[str, int] | None = None) -> str:
    lines = [
        f"PROBE {name} {(status or {}).get(name, 0)} {base64.b64encode(text.encode()).decode()}\n"
        for name, text in answers.items()
    ]
    return "".join(lines) + "END\n"


def report(changes: dict[str, str] | None = None, *, status: dict[str, int] | None = None) -> BootReport:
    return judge(parse_report(encode({**GOOD, **(changes or {})}, status), boot_seconds=61.24), commit=COMMIT)


def test_a_good_boot_has_no_problem() -> None:
    found = report()
    assert found.ok, found.problems
    assert found.secure_boot
    assert found.packages == {"systemd": "257.13"}
    assert (found.timing.boot, found.timing.initrd, found.timing.multi_user) == (61.2, 6.64, 28.97)
    assert BootReport.model_validate_json(found.model_dump_json()) == found


GROWN = "able=yes\ndisk=4294967296\nstart=538968064\npartition=3755978752\nfilesystem=3755978752\ntable=ab"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("", "", ""),
        ("filesystem=3755978752", "filesystem=2682257408", "its file system has 2682257408 bytes of 3755978752"),
        ("filesystem=3755978752", f"filesystem={3755978752 - 63 * 4096}\nunit={64 * 4096}", ""),  # xfs
        ("disk=4294967296", "disk=5368709120", "1024 MiB of the disk are behind its partition"),
    ],
)
def test_a_root_that_can_grow_must_have_grown(old: str, new: str, words: str) -> None:
    told = GROWN.replace(old, new)
    found = report({"growth": told})
    assert found.growth is not None
    assert " ".join(found.problems).endswith(words)
    assert report({"growth": told.replace("yes", "no")}).ok  # the image has nothing that grows it


def test_a_growth_that_is_not_said_is_none() -> None:
    for told, status in ((GROWN, 9), ("able=yes", 0), (GROWN.replace("4294967296", "x"), 0)):
        assert report({"growth": told}, status={"growth": status}).growth is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"failed": "ssh.service loaded failed failed OpenBSD Secure Shell server"}, "unit ssh.service failed"),
        ({"state": "degraded"}, "the system is degraded"),
        ({"state": "starting", "jobs": "7 a.service start running"}, "a job still waits: 7 a.service start running"),
        ({"multi-user": "ActiveState=inactive\nActiveEnterTimestampMonotonic=0"}, "multi-user.target was not reached"),
        ({"writable:/usr": ""}, "/usr is writable"),
        ({"mount:/usr": "ext4 rw"}, "/usr is not mounted read-only"),
        ({"ostree": ""}, "names 0 booted deployments"),
        ({"ostree": f"* debian {OLD}.0"}, "it runs commit 0123456789ab, not 4c8998ea0e8b"),
        ({"package:sed": "deinstall 1"}, "package sed is not installed"),
    ],
)
def test_each_fault_is_named(changes: dict[str, str], words: str) -> None:
    assert any(words in problem for problem in report(changes).problems), report(changes).problems


def test_what_was_not_answered_is_no_good() -> None:
    silent = judge(parse_report("END\n", boot_seconds=1.0))
    assert silent.state == "unknown"
    assert {"/etc is not writable", "/usr is not mounted read-only"} <= set(silent.problems)
    assert report(status={"package:systemd": 1}).packages == {"systemd": None}
    assert report(status={"writable:/etc": 1}).problems == ("/etc is not writable",)


def test_torn_and_foreign_lines_are_left_out() -> None:
    text = encode({"kernel": "6.12"})
    torn = "PROBE state 0 cnVub\n" + "hello\n" + text
    assert set(parse_answers(torn)) == {"kernel"}
    assert is_complete(text)
    assert not is_complete(text[:-1])


def test_deployments_of_an_update_and_a_rollback() -> None:
    staged, booted, rollback = parse_deployments(STATUS)
    assert (staged.note, staged.serial, staged.booted) == ("staged", 1, False)
    assert (booted.commit, booted.booted, booted.version, booted.note) == (COMMIT, True, "2", "")
    assert (rollback.note, rollback.origin) == ("rollback", "origin:debian/trixie")


def test_the_script_speaks_this_protocol() -> None:
    """Run here, where much of what it asks for may be missing: still every question has an answer."""
    script = Path(module.__file__).with_name("probe")
    done = run(["sh", script], extra_env={"PATIENCE": "1", "PACKAGES": "dpkg surely-missing"}, timeout=60)
    assert is_complete(done.text)
    answers = parse_answers(done.text)
    assert len(answers) == done.text.count("PROBE")
    found = parse_report(done.text, boot_seconds=0.0)
    assert found.packages["dpkg"]
    assert found.packages["surely-missing"] is None
    assert found.kernel
