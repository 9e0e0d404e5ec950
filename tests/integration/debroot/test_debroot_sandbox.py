"""The sandbox on a real root: what is inside, what is not, what it may do."""

from __future__ import annotations

import os
import resource
import shlex
import sys
import time
from pathlib import Path

import pytest

from debcore.command import run
from debcore.errors import CommandFailed, HostFailed, LimitHit
from debcore.job import Limits
from debroot import cgroup
from debroot.sandbox import Bind, Sandbox, run_in, start_in
from debroot.store import Layer, Store

pytestmark = pytest.mark.root


def run_shell(tools: Layer, script: str, **settings: object) -> str:
    sandbox = Sandbox(lowers=tools.lowers(), **settings)  # type: ignore[arg-type]
    return run_in(sandbox, ["sh", "-ec", script], capture=True, timeout=300).text.strip()


def test_root_inside_is_nobody_outside(tools: Layer) -> None:
    words = ["sleep", f"3600.{os.getpid()}"]
    line = "".join(f"{word}\0" for word in words).encode()
    with start_in(Sandbox(lowers=tools.lowers()), words) as running:
        deadline = time.monotonic() + 120
        while not (sleepers := [p for p in Path("/proc").glob("[0-9]*") if _cmdline(p) == line]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert all(_uid(process) >= 100000 for process in sleepers)
        assert running.poll() is None


def _cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _uid(process: Path) -> int:
    try:
        return process.stat().st_uid
    except OSError:
        return -1


def test_inside_is_a_small_private_world(tools: Layer) -> None:
    assert run_shell(tools, "id -u; hostname; pwd; echo $HOME") == "0\ndebootc\n/\n/root"
    assert run_shell(tools, "ls /proc | grep -c '^[0-9]'") in ("3", "4", "5")
    nodes = run_shell(tools, "ls /dev").split()
    assert nodes == [
        "fd",
        "full",
        "mqueue",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
    ]
    assert (
        run_shell(tools, "echo x > /dev/null; head -c3 /dev/zero | wc -c; touch /dev/shm/a /tmp/a /run/lock/a") == "3"
    )
    assert run_shell(tools, "! touch /sys/x 2>/dev/null; ls /sys/class/net") == "lo"
    assert run_shell(tools, "script -qec tty /dev/null </dev/null || true", tmpfs=("/tmp",)).startswith("/dev/pts/")


def test_changes_are_thrown_away_and_the_layer_stays(tools: Layer) -> None:
    script = "rm -rf /usr/share; mkdir /usr/share; touch /new; chown 33:44 /new; mv /usr/lib/os-release /x"
    script += "; stat -c %u:%g /new"
    assert run_shell(tools, script) == "33:44"
    assert run_shell(tools, "test ! -e /new; test -d /usr/share/doc; test -e /usr/lib/os-release; echo same") == "same"


def test_old_kernels_throw_changes_away_on_disk(tools: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debroot.sandbox.can_use_tmpfs", lambda: False)
    script = "rm -rf /usr/share; mkdir /usr/share; sed -n 's,.*upperdir=\\(tmp/[^,]*\\).*,\\1,p' /proc/self/mountinfo"
    upper = run_shell(tools, script)
    assert upper.startswith("tmp/")
    assert not (tools.path.parents[1] / upper).exists()


def test_an_upper_keeps_changes(store: Store, tools: Layer) -> None:
    with store.throwaway() as upper:
        sandbox = Sandbox(lowers=tools.lowers(), upper=upper)
        run_in(sandbox, ["sh", "-c", "echo kept > /kept; rm /usr/bin/wall || rm /usr/bin/tac"])
        assert run_in(sandbox, ["cat", "/kept"], capture=True).text == "kept\n"
        assert (upper / "kept").stat().st_uid == store.idmap.first
    assert not upper.parent.exists()


def test_the_build_user_has_no_rights(tools: Layer) -> None:
    script = "id -u; id -g; id -G; ! touch /usr/x 2>/dev/null; ! chown 0 /tmp 2>/dev/null; touch /tmp/mine; echo ok"
    assert run_shell(tools, script, user=(1234, 1235), cwd="/tmp") == "1234\n1235\n1235\nok"


def test_namespaces_nest(tools: Layer) -> None:
    assert run_shell(tools, "unshare -Urmpf --mount-proc id -u", user=(1234, 1234)) == "0"
    assert run_shell(tools, "mkdir /tmp/m; mount -t tmpfs none /tmp/m; chroot / true; echo ok") == "ok"


PERL_LOOPBACK = """
use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($s, 1) or die;
my ($port) = sockaddr_in(getsockname($s));
socket(my $c, PF_INET, SOCK_STREAM, 0); connect($c, sockaddr_in($port, inet_aton("localhost"))) or die "loopback: $!";
socket(my $o, PF_INET, SOCK_STREAM, 0);
print connect($o, sockaddr_in(80, inet_aton("192.0.2.1"))) ? "reached" : "$!";
"""


def test_there_is_no_network_but_loopback(tools: Layer) -> None:
    assert run_in(
        Sandbox(lowers=tools.lowers()), ["perl", "-e", PERL_LOOPBACK], capture=True, timeout=300
    ).text == "Network is unreachable"  # fmt: skip


def perl_call(tools: Layer, number: int, **settings: object) -> str:
    """The errno of one system call with bad arguments, or 0."""
    return run_shell(tools, f"perl -e '$!=0; syscall({number}, -1, 0, 0, 0, 0); print $!+0'", **settings)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")
def test_denied_calls_fail_with_eperm_and_syncs_are_suppressed_on_demand(tools: Layer) -> None:
    assert perl_call(tools, 250) == "1"  # keyctl
    assert perl_call(tools, 321) == "1"  # bpf
    assert perl_call(tools, 135) != "1"  # personality is left alone
    assert perl_call(tools, 74) == "9"  # fsync of a bad descriptor: EBADF
    assert perl_call(tools, 74, suppress_sync=True) == "0"


def test_hardened_takes_more_away(tools: Layer) -> None:
    script = "grep NoNewPrivs /proc/self/status; mount -t tmpfs none /mnt 2>&1 || true"
    shown = run_shell(tools, script, hardened=True)
    assert "NoNewPrivs:\t1" in shown
    assert "permission denied" in shown.lower() or "not permitted" in shown.lower()


def test_binds_are_read_only_unless_asked(tools: Layer, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "file").write_text("host\n")
    for parent in tmp_path.parents:
        if parent.owner() == "root" and parent != Path("/") and parent.stat().st_mode & 0o1 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)
    binds = (Bind(source=tmp_path, target="/a/b"), Bind(source=tmp_path, target="/w", readonly=False))
    script = "cat /a/b/file; ! touch /a/b/x 2>/dev/null; touch /w/y; ls /a/b"
    assert run_shell(tools, script, binds=binds) == "host\nfile\ny"


def test_symlinks_of_a_hostile_root_stay_inside(store: Store, tools: Layer, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    with store.throwaway() as upper:
        (upper / "etc").mkdir()
        (upper / "etc/hosts").symlink_to(f"../../../../../../../..{victim}")
        (upper / "out").symlink_to(tmp_path)
        bind = Bind(source=Path("/etc/debian_version"), target="/out/deep/er")
        sandbox = Sandbox(lowers=tools.lowers(), upper=upper, binds=(bind,))
        done = run_in(sandbox, ["sh", "-c", "cat /out/deep/er"], capture=True)
        assert done.text == Path("/etc/debian_version").read_text()
    assert victim.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["victim"]


def test_root_inside_cannot_reach_through_init(tools: Layer, tmp_path: Path) -> None:
    script = "for x in fd/ root/ cwd/; do ls /proc/1/$x 2>&- || :; done; cat /proc/1/environ 2>&- || :; echo end"
    assert run_shell(tools, script) == "end"
    assert run_shell(tools, "perl -e 'print syscall(101, 16, 1, 0, 0)'") == "-1"  # PTRACE_ATTACH
    secret = tmp_path / "secret"
    secret.write_text("s")
    secret.chmod(0o600)
    script = "mount -o remount,bind,rw /s || :; cat /s || :; (echo x > /s) || :; echo end"
    assert run_shell(tools, script, binds=(Bind(source=secret, target="/s"),)).endswith("end")
    assert secret.read_text() == "s"


def test_a_terminal_is_kept(tools: Layer) -> None:
    inner = (
        "import sys; from pathlib import Path; from debroot.sandbox import Sandbox, run_in;"
        "box = Sandbox(lowers=(Path(sys.argv[1]),), tty=True);"
        "run_in(box, ['sh', '-c', 'tty; test -t 1; echo $?; : >/dev/tty'], stdin=0)"
    )
    env = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    words = shlex.join([sys.executable, "-c", inner, str(tools.root)])
    done = run(["script", "--quiet", "--return", "--command", words, "/dev/null"], extra_env=env, timeout=300)
    assert done.text.split() == ["/dev/console", "0"]


def test_statuses_and_errors(tools: Layer) -> None:
    sandbox = Sandbox(lowers=tools.lowers())
    assert run_in(sandbox, ["sh", "-c", "exit 7"], check=False).status == 7
    assert run_in(sandbox, ["sh", "-c", "kill -9 $$"], check=False).status == -9
    assert run_in(sandbox, ["no-such-program"], check=False, capture=True).status == 127
    with pytest.raises(CommandFailed, match="oh"):
        run_in(sandbox, ["sh", "-c", "echo oh >&2; exit 1"], capture=True)
    with pytest.raises(HostFailed, match="cannot be bound"):
        run_in(Sandbox(lowers=tools.lowers(), binds=(Bind(source=Path("/no"), target="/x"),)), ["true"])
    assert run_in(sandbox, ["cat"], stdin=b"in", capture=True).text == "in"


HOG = "perl -e '$x = \"a\" x (400 << 20); sleep 600'"


@pytest.mark.parametrize(
    ("limits", "script", "what"),
    [
        (Limits(memory=200 << 20), HOG, "memory"),
        (Limits(memory=200 << 20), "dd if=/dev/zero of=/tmp/x bs=1M count=400 2>/dev/null; sleep 600", "memory"),
        (Limits(disk=50 << 20), "dd if=/dev/zero of=/srv/x bs=1M count=100 2>/dev/null; sleep 600", "disk"),
    ],
    ids=["anonymous", "tmpfs", "disk"],
)
def test_limits_end_everything(store: Store, tools: Layer, limits: Limits, script: str, what: str) -> None:
    with store.throwaway() as upper:
        sandbox = Sandbox(lowers=tools.lowers(), upper=upper, limits=limits)
        with pytest.raises(LimitHit, match=what):  # long before the script would end
            run_in(sandbox, ["sh", "-c", script], timeout=300)


def test_time_is_limited(tools: Layer) -> None:
    with pytest.raises(LimitHit, match="time"):
        run_in(Sandbox(lowers=tools.lowers()), ["sleep", "60"], timeout=1)


@pytest.mark.parametrize("grants", [True, False], ids=["what the host grants", "no control groups"])
def test_processes_are_limited(tools: Layer, monkeypatch: pytest.MonkeyPatch, grants: bool) -> None:
    """A control group counts refused forks, and the limit is named; an rlimit only refuses them."""
    if not grants:
        monkeypatch.setattr(cgroup, "find_grant", lambda: None)
    counted = "pids" in grant.parents if (grant := cgroup.find_grant()) else False
    sandbox = Sandbox(lowers=tools.lowers(), limits=Limits(processes=20), user=(1234, 1234))
    bomb = "for i in $(seq 60); do sleep 3 & done; wait"
    if counted:
        with pytest.raises(LimitHit, match="processes"):
            run_in(sandbox, ["sh", "-c", bomb], check=False, capture=True, timeout=300)
        return
    done = run_in(sandbox, ["sh", "-c", bomb], check=False, capture=True, timeout=300)
    assert done.status != 0
    assert b"fork" in done.stderr.lower()


@pytest.mark.parametrize("grants", [True, False], ids=["what the host grants", "no control groups"])
def test_shared_pages_count_once_where_a_group_counts(
    tools: Layer, monkeypatch: pytest.MonkeyPatch, grants: bool
) -> None:
    """Init cannot tell them apart: it sums what each process has, and then ends what a group would let live."""
    if not grants:
        monkeypatch.setattr(cgroup, "find_grant", lambda: None)
    held = "memory" in grant.parents if (grant := cgroup.find_grant()) else False
    sandbox = Sandbox(lowers=tools.lowers(), limits=Limits(memory=200 << 20))
    stay = 4 if held else 600  # seconds; where init looks it ends them long before
    script = f"$x = 'a' x (60 << 20); for (1 .. 5) {{ fork or do {{ sleep {stay}; exit }} }} 1 while wait > 0"
    with start_in(sandbox, ["perl", "-e", script]) as running:
        if held:
            assert running.wait(300) == 0
        else:
            with pytest.raises(LimitHit, match="memory"):
                running.wait(300)


def test_peaks_are_measured(store: Store, tools: Layer) -> None:
    with store.throwaway() as upper:
        sandbox = Sandbox(lowers=tools.lowers(), upper=upper)
        script = "dd if=/dev/zero of=/srv/x bs=1M count=30 2>/dev/null; perl -e '$x = \"a\" x (100 << 20); sleep 5'"
        with start_in(sandbox, ["sh", "-c", script]) as running:
            assert running.wait(300) == 0
            assert (running.peaks.disk or 0) >= 30 << 20
            assert (running.peaks.memory or 0) >= 100 << 20


def test_a_root_costs_less_than_a_tenth_of_a_second(tools: Layer) -> None:
    """In CPU seconds of launcher, init and command: wall time belongs to benchmarks/ on a quiet machine."""
    run_in(Sandbox(lowers=tools.lowers()), ["true"])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(10):
        run_in(Sandbox(lowers=tools.lowers()), ["true"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 10 < 0.1
