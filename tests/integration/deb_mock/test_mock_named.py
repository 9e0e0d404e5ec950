"""Named roots: what is installed and copied stays, snapshots go back, failures leave the root as it was."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from debcore.command import Completed, run

from .conftest import unique_sleep
from .test_mock_stop import mentioned, running, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

Verb = Callable[..., Completed]


@pytest.fixture
def root(tool: Any) -> Iterator[str]:
    """The name of a root that only this test has."""
    name = f"test-{os.getpid()}"
    yield name
    if (tool.store / "roots" / name).exists():
        assert tool.run("clean", "--root", name).status == 0


@pytest.fixture
def verb(tool: Any, root: str) -> Verb:
    """verb("install", …): a verb on that root, which must succeed unless `status` says otherwise."""

    def call(name: str, *words: str | Path, status: int = 0, json: bool = False) -> Completed:
        options = ["-r", "debian-trixie-amd64", "--root", root, *(["--json"] if json else [])]
        done: Completed = tool.run(name, *options, *words)
        assert done.status == status, done.stderr.decode()
        return done

    return call


def inside(verb: Verb, script: str) -> str:
    return verb("run", "--as-root", "--", "sh", "-ec", script).text


def make_deb(directory: Path, name: str, *, fields: str = "", script: str = "") -> Path:
    tree = directory / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: A Tester <t@example.org>\n"
        f"Description: made by a test\n{fields}"
    )
    if script:
        (tree / "DEBIAN" / "postinst").write_text(f"#!/bin/sh\n{script}\n")
        (tree / "DEBIAN" / "postinst").chmod(0o755)
    run(["dpkg-deb", "--root-owner-group", "--build", tree, directory / f"{name}_1_all.deb"])
    return directory / f"{name}_1_all.deb"


def test_packages_come_and_go_and_snapshots_go_back(verb: Verb, tmp_path: Path) -> None:
    verb("snapshot", "clean")
    installed = json.loads(verb("install", "cowsay", "sl-", json=True).text)
    assert "cowsay" in [package["name"] for package in installed["installed"]]
    assert "moo" in inside(verb, "/usr/games/cowsay moo; echo changed > /etc/motd; rm /etc/debian_version")
    verb("snapshot", "with-cow")
    local = make_deb(tmp_path, "needs-sl", fields="Depends: sl, cowsay\n")
    assert "installed sl:amd64" in verb("install", local).text
    assert inside(verb, "test -x /usr/games/sl; dpkg -s needs-sl | grep ^Status") == "Status: install ok installed\n"
    assert "removed needs-sl" in verb("remove", "--purge", "sl").text
    assert inside(verb, "test ! -e /usr/games/sl; dpkg -s needs-sl 2>&- || echo gone") == "gone\n"
    verb("rollback", "clean")
    assert inside(verb, "test ! -e /usr/games/cowsay; ls /etc/debian_version") == "/etc/debian_version\n"
    verb("rollback", "with-cow")
    assert inside(verb, "cat /etc/motd; ls /usr/games/cowsay; test ! -e /etc/debian_version") == (
        "changed\n/usr/games/cowsay\n"
    )
    listed = json.loads(verb("snapshot", "--list", json=True).text)
    assert list(listed["snapshots"]) == ["clean", "with-cow"]
    verb("snapshot", "--remove", "clean")
    assert "no snapshot 'clean'" in verb("rollback", "clean", status=3).stderr.decode()
    assert "has a snapshot with-cow already" in verb("snapshot", "with-cow", status=3).stderr.decode()


def test_apt_answers_and_does_in_two_steps(verb: Verb, tool: Any, root: str) -> None:
    verb("apt", "update")
    assert "Candidate:" in verb("apt", "policy", "cowsay").text
    verb("apt", "--", "install", "--no-install-recommends", "cowsay")
    assert inside(verb, "apt-mark showmanual | grep cowsay; ls /etc/apt/sources.list.d") == "cowsay\n"
    assert "removed cowsay" in verb("apt", "autopurge", "cowsay").text
    assert "nothing to do" in verb("apt", "full-upgrade").stderr.decode()
    assert "nothing to do" in verb("update").stderr.decode()
    assert "not for use here" in verb("apt", "edit-sources", status=3).stderr.decode()
    assert "not for use here" in verb("apt", "--", "-o", "x=y", "install", "sl", status=3).stderr.decode()
    assert "Unable to locate package no-such-thing" in verb("install", "no-such-thing", status=5).stderr.decode()


def test_an_installation_that_fails_leaves_the_root_as_it_was(verb: Verb, tmp_path: Path) -> None:
    inside(verb, "echo mine > /etc/mine")
    broken = make_deb(tmp_path, "broken", script="echo half > /etc/half; exit 1")
    said = verb("install", broken, status=5).stderr.decode()
    assert "error processing package broken" in said
    assert inside(verb, "cat /etc/mine; ls /etc/half 2>&- || echo gone; dpkg -s broken 2>&- || echo none") == (
        "mine\ngone\nnone\n"
    )
    online = make_deb(tmp_path, "online", script="exec 3<>/dev/tcp/192.0.2.1/80 || perl -MSocket -e 'exit 7'")
    assert verb("install", online, status=5)


def test_files_go_in_and_come_out(verb: Verb, tmp_path: Path) -> None:
    source = tmp_path / "with space"
    (source / ".git").mkdir(parents=True)
    (source / ".git" / "HEAD").write_text("ref")
    (source / "-run").write_text("#!/bin/sh\necho ran\n")
    (source / "-run").chmod(0o755)
    (source / "to").symlink_to("-run")
    (tmp_path / "one").write_text("1")
    inside(verb, "ln -s /var/lib /srv/link")
    verb("copyin", source, tmp_path / "one", "/srv/link/new/")
    assert (
        inside(verb, "cd '/var/lib/new/with space'; ./-run; ./to; cat ../one; stat -c %u .git/HEAD") == "ran\nran\n10\n"
    )
    out = tmp_path / "out"
    out.mkdir()
    verb("copyout", "/srv/link/new/with space", "/etc/os-release", out)
    assert (out / "with space" / "to").readlink() == Path("-run")
    assert (out / "with space" / "-run").stat().st_mode & 0o777 == 0o755
    assert "trixie" in (out / "os-release").read_text()
    assert not (out / "os-release").is_symlink()
    assert "exists already" in verb("copyout", "/srv/link/new/with space", out, status=3).stderr.decode()
    assert "no such file" in verb("copyout", "/nowhere", out, status=3).stderr.decode()
    assert "begins with /" in verb("copyin", tmp_path / "one", "srv", status=3).stderr.decode()


HOSTILE = """
mkdir -p /h/sub "/h/$(printf 'esc\\033[2J')"
ln -s {victim} /h/out; ln -s ../../../.. /h/sub/up; ln -s sub /h/ok
echo overwritten > /h/sub/x; ln /h/sub/x /h/hard
mkfifo /h/fifo; cp /bin/true /h/suid; chmod 6755 /h/suid
"""
FORGED = """
cat > /usr/local/bin/tar <<'EOF'
#!/usr/bin/perl
sub entry {{ my ($name, $type, $link, $data) = @_;
  my $h = pack("a100a8a8a8a12a12a8a1a100a6a2", $name, "0000777", "0000000", "0000000", sprintf("%011o", length $data),
    "00000000000", " " x 8, $type, $link, "ustar", "00"); $h .= "\\0" x (512 - length $h);
  my $sum = 0; $sum += ord for split //, $h; substr($h, 148, 8) = sprintf("%06o\\0 ", $sum);
  print $h, $data, "\\0" x (-length($data) % 512); }}
entry("x/", 5, "", ""); entry("x/l", 2, "{victim}", ""); entry("x/l/file", 0, "", "evil");
entry("x/../../file", 0, "", "evil"); entry("{victim}/file", 0, "", "evil"); entry("x/good", 0, "", "good");
print "\\0" x 1024;
EOF
chmod 755 /usr/local/bin/tar
"""


def test_a_hostile_root_writes_nothing_outside_of_the_copy(verb: Verb, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    inside(verb, HOSTILE.format(victim=victim))
    out = tmp_path / "out"
    said = verb("copyout", "/h", out).stderr
    assert b"left out" in said
    assert b"\x1b" not in said
    assert sorted(p.name for p in out.iterdir()) == ["esc\x1b[2J", "hard", "ok", "sub", "suid"]
    assert (out / "suid").stat().st_mode & 0o7777 == 0o755
    assert not (out / "sub" / "up").is_symlink()
    inside(verb, FORGED.format(victim=victim))
    forged = verb("copyout", "/h", tmp_path / "forged", status=3).stderr.decode()
    assert "cannot be written" in forged or "cannot be copied out" in forged
    assert list(victim.iterdir()) == []
    assert not (tmp_path / "file").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "victim"]


def test_one_command_at_a_time_and_kill_9_in_the_middle(verb: Verb, tool: Any, root: str) -> None:
    inside(verb, "echo kept > /etc/kept")
    sleep = unique_sleep()
    process = tool.start("run", "--root", root, "--as-root", "--", "sh", "-c", f"echo > /run/x; exec {sleep}")
    try:
        wait_for(lambda: process.poll() is not None or running(sleep))
        assert process.poll() is None
        assert "is in use" in verb("install", "sl", status=3).stderr.decode()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: not mentioned(sleep))
    assert inside(verb, "cat /etc/kept") == "kept\n"
    states = list((tool.store / "roots" / root / "states").iterdir())
    (tool.store / "roots" / root / "states" / "ffff").mkdir()  # as a kill between a rename and its note leaves it
    assert inside(verb, "cat /etc/kept") == "kept\n"
    assert sorted((tool.store / "roots" / root / "states").iterdir()) == sorted(states)


def test_a_root_keeps_its_preset_and_its_name_is_checked(verb: Verb, tool: Any, root: str) -> None:
    verb("run", "--", "true")
    done = tool.run("run", "--root", root, "-r", "sid", "--", "true")
    assert done.status == 3
    assert f"the root {root} is one of debian-trixie-amd64" in done.stderr.decode()
    assert tool.run("run", "--root", root, "--", "true").status == 0
    assert "no name for a root" in tool.run("install", "--root", "../x", "sl").stderr.decode()
    assert "there is no root" in tool.run("clean", "--root", "absent-root").stderr.decode()
    (tool.store / "roots" / root / "meta.json").write_text("{broken")
    assert "is damaged" in tool.run("run", "--root", root, "--", "true").stderr.decode()


def test_a_build_in_a_named_root_says_so_and_sees_its_files(
    verb: Verb, native: Any, tool: Any, root: str, tmp_path: Path
) -> None:
    inside(verb, "echo of-the-root > /etc/marker")
    tree = native(build="cat /etc/marker > marker; touch /tmp/x", fields=("Build-Depends: cowsay",))
    built = tool.build(tree, tmp_path / "out", "--root", root)
    assert built.status == 0, built.said
    assert built.result.reproducible is False
    assert built.result.influences == (f"the named root {root}",)
    assert f"built in the named root {root}" in built.log
    assert inside(verb, "ls /usr/games/cowsay; cat /etc/marker") == "/usr/games/cowsay\nof-the-root\n"
    again = tool.build(tree, tmp_path / "again", "--root", root)
    assert again.event("environment.ready").data["installed"] == 0
    inside(verb, "dpkg --purge cowsay")
    refused = tool.build(tree, tmp_path / "refused", "--root", root)
    assert refused.status == 3
    assert "was changed by hand" in refused.said


def test_a_session_in_mocks_words(tool: Any, tmp_path: Path) -> None:
    ext = f"mock-{os.getpid()}"
    name = f"debian-trixie-amd64-{ext}"

    def mock(*words: str | Path, status: int = 0) -> Completed:
        done: Completed = tool.run("-r", "debian-trixie-amd64", "--uniqueext", ext, *words)
        assert done.status == status, done.stderr.decode()
        return done

    try:
        assert f"deb-mock clean --named -r debian-trixie-amd64 --root {name}" in mock("--init").stderr.decode()
        assert "installed mine:all 1" in mock("--install", make_deb(tmp_path, "mine")).text
        (tmp_path / "file").write_text("from outside\n")
        mock("--copyin", tmp_path / "file", "/srv/file")
        assert mock("--chroot", "cat /srv/file; id -u").text == "from outside\n0\n"
        assert mock("--chroot", "--unpriv", "--cwd", "/srv", "--", "sh", "-c", "pwd; id -un").text.startswith("/srv\n")
        mock("--snapshot", "one")
        assert mock("--chroot", "rm /srv/file; exit 7", status=7).text == ""
        mock("--rollback-to", "one")
        assert mock("--list-snapshots").text.split()[-1] == "one"
        mock("--copyout", "/srv/file", tmp_path / "back")
        assert (tmp_path / "back").read_text() == "from outside\n"
        assert "removed mine" in mock("--remove", "mine").text
    finally:
        mock("--clean")
    assert not (tool.store / "roots" / name).exists()
    mock("--clean")  # twice is no error, as in Mock
