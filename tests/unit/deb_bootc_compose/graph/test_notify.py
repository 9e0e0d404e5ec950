"""Notification scripts: what they are told, and that none of them can hurt a compose."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deb_bootc_compose import notify
from deb_bootc_compose.cli import group
from deb_bootc_compose.compose import Options, load_started, run_compose, scripts_of, start_compose
from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.journal import Journal
from deb_bootc_compose.manifest import load_manifest
from deb_bootc_compose.notify import Notifier, Script, about, call
from debcore.errors import Failure
from tests.unit.deb_bootc_compose.report.world import MANIFEST, make_compose

#: Appends {"event", "data"} to the file beside it.
RECORD = """\
#!/usr/bin/python3
import json, pathlib, sys
out = pathlib.Path(__file__).with_suffix(".jsonl")
with out.open("a") as file:
    file.write(json.dumps({"event": sys.argv[1:], "data": json.load(sys.stdin)}) + "\\n")
"""


def make_script(path: Path, text: str) -> Script:
    path.write_text(text)
    path.chmod(0o755)
    return Script(str(path), 60.0)


def heard(script: Script) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(script.path).with_suffix(".jsonl").read_text().splitlines()]


def notifier(tmp_path: Path, *scripts: Script) -> Notifier:
    return Notifier(scripts, told={"compose_id": "X"}, log_path=tmp_path / "notifications.log")


def test_a_compose_is_told_in_pungis_words(tmp_path: Path) -> None:
    compose = make_compose(tmp_path)
    started = load_started(compose)
    script = make_script(tmp_path / "record.py", RECORD)
    told = about(compose, started.manifest.compose)
    made = Notifier([script], told=told, log_path=tmp_path / "notifications.log")
    made.tell_status(Status.STARTED)
    journal = Journal(tmp_path / "journal.jsonl", hear=[made.hear])
    journal.append("compose.started", id="x")
    journal.append("task.started", task="tree.server.amd64", identity="0")
    journal.append("task.finished", task="tree.server.amd64", identity="0", seconds=2.5, result={"value": {}}, files=[])
    journal.append("task.started", task="publish", identity="0")
    journal.append("task.failed", task="publish", identity="0", seconds=0.5, error={"message": "no space"})
    journal.close()
    made.tell_status(Status.DOOMED)
    made.close()
    calls = heard(script)
    assert [(one["event"], one["data"].get("status") or one["data"]["phase_name"]) for one in calls] == [
        (["status-change"], "STARTED"), (["phase-start"], "tree.server.amd64"), (["phase-stop"], "tree.server.amd64"),
        (["phase-start"], "publish"), (["phase-stop"], "publish"), (["status-change"], "DOOMED"),
    ]  # fmt: skip
    first = calls[0]["data"]
    assert first["compose_id"] == compose.id
    assert first["compose_path"] == str(compose.path)
    assert first["location"] == f"{compose.path}/compose"
    assert (first["compose_type"], first["compose_respin"], first["compose_label"]) == ("test", 0, "RC-1.0")
    assert (first["release_short"], first["release_version"], first["release_type"]) == ("Example", "13", "ga")
    assert first["release_is_layered"] is False
    assert calls[2]["data"] | {"result": "done", "seconds": 2.5, "variant": "server.amd64"} == calls[2]["data"]
    assert calls[4]["data"] | {"result": "failed", "error": "no space", "variant": None} == calls[4]["data"]
    assert len((tmp_path / "notifications.log").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "#!/bin/sh\necho 'bad \033[31m thing' >&2; exit 3\n",
            "failed for status-change, status 3: bad \\x1b[31m thing",
        ),
        ("#!/bin/sh\nkill -9 $$\n", "status -9"),
        ("#!/nowhere/interpreter\n", "cannot be run for status-change"),
        ("\x7fELF junk", "cannot be run for status-change"),
    ],
)
def test_a_script_that_fails_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, warning: str
) -> None:
    other = make_script(tmp_path / "record.py", RECORD)
    made = notifier(tmp_path, make_script(tmp_path / "bad", text), other)
    with caplog.at_level(logging.WARNING):
        made.tell_status(Status.FINISHED)
        made.close()
    assert warning in caplog.text
    assert len(heard(other)) == 1


class Clock:
    """A thousand seconds pass each time that a script has written a line to *path*."""

    sleep = staticmethod(time.sleep)

    def __init__(self, path: Path) -> None:
        self.path = path

    def monotonic(self) -> float:
        return 1000.0 * self.path.read_text().count("\n") if self.path.exists() else 0.0


def test_one_that_does_not_end_is_stopped_with_its_children(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = make_script(tmp_path / "slow", '#!/bin/sh\necho "$1"\nsleep 1000 &\necho $! >> "$0.pid"\nsleep 1000\n')
    monkeypatch.setattr(notify, "time", Clock(tmp_path / "slow.pid"))
    made = notifier(tmp_path, Script(slow.path, 2.0))
    with caplog.at_level(logging.WARNING):
        made.send("phase-start", {})
        made.send("phase-stop", {})  # is not sent: it was too slow once
        made.tell_status(Status.FINISHED)
        made.close()
    assert caplog.text.count("was stopped after 2 s") == 2
    told = (tmp_path / "notifications.log").read_text().splitlines()
    assert [line.split()[1] for line in told if not line.startswith("  ")] == ["phase-start", "status-change"]
    children = [int(line) for line in (tmp_path / "slow.pid").read_text().splitlines()]
    assert len(children) == 2
    end = time.monotonic() + 60
    while any(is_alive(child) for child in children):
        assert time.monotonic() < end, "the script's child lives on"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """A zombie has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def test_one_that_leaves_a_child_behind_does_not_hold_the_compose(tmp_path: Path) -> None:
    script = make_script(tmp_path / "daemon", "#!/bin/sh\nsleep 1000 &\necho done\n")
    called = call(script, "status-change", b"{}")
    assert (called.status, called.output) == (0, b"done\n")


def test_output_is_cut_and_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loud = make_script(tmp_path / "loud", "#!/bin/sh\nprintf '\\033[2Jx\\n'\nhead -c 3000000 /dev/zero | tr '\\0' y\n")
    called = call(loud, "phase-start", b"{}")
    assert called.status == 0
    assert len(called.output) == notify.MAX_OUTPUT
    monkeypatch.setattr(notify, "MAX_LOG", 1000)
    made = notifier(tmp_path, loud)
    for _ in range(3):
        made.send("phase-start", {})
    made.close()
    kept = (tmp_path / "notifications.log").read_text()
    assert "\x1b" not in kept
    assert "\\x1b[2Jx" in kept
    assert kept.count("phase-start") == 3
    assert kept.count("yyyy") < 2 * notify.MAX_OUTPUT / 4  # the first call's; there is no room for the others'


def test_one_that_reads_nothing_gets_a_large_message(tmp_path: Path) -> None:
    deaf = make_script(tmp_path / "deaf", "#!/bin/sh\nexit 0\n")
    assert call(deaf, "phase-stop", b"x" * 1_000_000).status == 0


def test_without_scripts_nothing_is_done(tmp_path: Path) -> None:
    made = notifier(tmp_path)
    made.tell_status(Status.FINISHED)
    made.close()
    assert not (tmp_path / "notifications.log").exists()


def make_manifest(directory: Path, script: str = "record.py") -> Path:
    text = MANIFEST + f"notifications:\n  - {{script: {script}, timeout: 30}}\n"
    (directory / "compose.yaml").write_text(text)
    return directory


def test_scripts_of_the_manifest_and_of_the_command_line(tmp_path: Path) -> None:
    record = make_script(tmp_path / "record.py", RECORD)
    other = make_script(tmp_path / "other", RECORD)
    manifest = load_manifest(make_manifest(tmp_path))
    options = Options(notification_scripts=(record.path, other.path, other.path))
    assert scripts_of(manifest, options) == [Script(record.path, 30), Script(other.path, 60)]
    compose = start_compose(manifest, tmp_path / "composes", options)
    assert load_started(compose).options.notification_scripts == options.notification_scripts


@pytest.mark.parametrize("script", ["missing", "compose.yaml", "."])
def test_a_script_that_is_no_program_is_refused_at_once(tmp_path: Path, script: str) -> None:
    manifest = load_manifest(make_manifest(tmp_path, script))
    with pytest.raises(Failure, match="is no program"):
        start_compose(manifest, tmp_path / "composes", Options())
    assert not (tmp_path / "composes").exists()


def test_a_compose_that_fails_at_once_is_told_of_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = make_script(tmp_path / "record.py", RECORD)
    monkeypatch.setenv("DEBOOTC_STORE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")  # no store can be made there: the first task fails
    manifest = make_manifest(tmp_path)
    done = CliRunner().invoke(group, ["build", str(manifest)])
    assert isinstance(done.exception, Failure)
    (compose,) = (tmp_path / "composes").iterdir()
    assert ComposeDirectory(compose).status() is Status.DOOMED
    told = [(one["event"][0], one["data"].get("status") or one["data"]["phase_name"]) for one in heard(record)]
    assert told == [
        ("status-change", "STARTED"), ("phase-start", "lock"), ("phase-stop", "lock"), ("status-change", "DOOMED"),
    ]  # fmt: skip
    assert (compose / "report.html").is_file()
    with pytest.raises(Failure):
        run_compose(ComposeDirectory(compose), say=lambda _task, _text: None)
    assert len(heard(record)) == 8
    (compose / "STATUS").write_text("FINISHED\n")
    again = CliRunner().invoke(group, ["resume", str(compose)])
    assert "has finished" in str(again.exception)
    assert "to go on" not in again.stderr


def test_a_manifest_that_is_wrong_is_told_of(tmp_path: Path) -> None:
    record = make_script(tmp_path / "record.py", RECORD)
    (tmp_path / "compose.yaml").write_text("schema: deb-bootc-compose/1\n")
    done = CliRunner().invoke(group, ["build", str(tmp_path), "--notification-script", record.path])
    assert isinstance(done.exception, Failure)
    (told,) = heard(record)
    assert told["event"] == ["fail-to-start"]
    assert told["data"]["config"] == str(tmp_path / "compose.yaml")
    assert "compose.yaml:1" in told["data"]["detail"]


def test_making_a_lock_notifies_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = make_script(tmp_path / "record.py", RECORD)
    monkeypatch.setenv("DEBOOTC_STORE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(group, ["lock", str(make_manifest(tmp_path))])
    assert isinstance(done.exception, Failure)
    assert not Path(record.path).with_suffix(".jsonl").exists()
