"""Packages that try to get out, to stay, or to take too much. Each tries one thing; none gets it.

An attack prints `tried: …` when it begins, so that one which never ran is noticed, and `ESCAPED: …` where it got what
it must not have.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import signal
import socket
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from debcore.command import spawn
from debcore.job import Status
from tests.integration.deb_mock.conftest import left_by, make_native, processes, unique_sleep
from tests.integration.deb_mock.test_mock_stop import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

SECRET = "the-hosts-own-secret"
Attack = Callable[..., Any]

#: As the build user and, with `as_root`, as root inside (the binary target of a package that needs it).
FILES = """
echo "tried: files of the host"
for file in {secret} /proc/1/root{secret} /proc/1/cwd/{secret} /proc/self/root/..{secret} /../../..{secret}; do
    if cat "$file" 2>/dev/null | grep -q {word}; then echo "ESCAPED: $file"; fi
done
if tr '\\0' '\\n' 2>/dev/null < /proc/1/environ | grep -q {word}; then echo "ESCAPED: environment of PID 1"; fi
if env | grep -q {word}; then echo "ESCAPED: environment"; fi
if find / -xdev -name '{name}' 2>/dev/null | grep -q .; then echo "ESCAPED: found by name"; fi
"""
KERNEL = """
echo "tried: the kernel's switches"
for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/sys/vm/drop_caches \\
    /sys/kernel/mm/transparent_hugepage/enabled /sys/power/state /proc/1/oom_score_adj /sys/fs/cgroup/cgroup.procs; do
    if (echo x > "$file") 2>/dev/null; then echo "ESCAPED: wrote $file"; fi
done
if dmesg >/dev/null 2>&1; then echo "ESCAPED: the kernel's log"; fi
if (umount /proc/sys || umount -l /sys) 2>/dev/null && (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null; then
    echo "ESCAPED: core_pattern below a mask"
fi
if unshare --user --map-root-user --mount sh -c 'mount -t proc proc /mnt && echo x > /mnt/sys/kernel/core_pattern' \\
    2>/dev/null; then echo "ESCAPED: core_pattern in a new namespace"; fi
"""
DEVICES = """
echo "tried: devices"
for file in /dev/vda /dev/sda /dev/mem /dev/kmem /dev/kmsg /dev/port /dev/fuse /dev/kvm /dev/loop0 /dev/loop-control; do
    if (exec 3<"$file") 2>/dev/null; then echo "ESCAPED: opened $file"; fi
done
for kind in "b 8 0" "b 254 0" "c 1 1" "c 1 11"; do
    rm -f node; if mknod node $kind 2>/dev/null && (exec 3<node) 2>/dev/null; then echo "ESCAPED: made $kind"; fi
done
"""
MOUNTS = """
echo "tried: mounts"
mkdir -p m; mount --make-rshared / 2>/dev/null; mount -t tmpfs hostile-tmpfs m 2>/dev/null
mount --bind /proc/1/root m 2>/dev/null && ls m{secret} 2>/dev/null && echo "ESCAPED: root of PID 1"
nsenter --target 1 --mount --pid -- true 2>/dev/null && nsenter -t 1 -m cat {secret} 2>/dev/null | grep {word} &&
    echo "ESCAPED: namespaces of PID 1"
for kind in ext4 btrfs debugfs securityfs; do
    if mount -t $kind /dev/vda m 2>/dev/null || mount -t $kind none m 2>/dev/null; then echo "ESCAPED: $kind"; fi
done
true
"""
SIGNALS = """
echo "tried: signals"
kill -9 {pid} 2>/dev/null && ! kill -0 {pid} 2>/dev/null && echo "a process of ours had that number"
(trap '' TERM; kill -TERM -1) 2>/dev/null
for pid in $(seq 2 3000) {pid}; do [ $pid = $$ ] || [ $pid = $PPID ] || kill -STOP $pid 2>/dev/null; done
true
"""
SOCKETS = """
echo "tried: sockets of the host"
perl -MIO::Socket::INET -e 'for (qw(127.0.0.1 {address})) {{ my $s = IO::Socket::INET->new(PeerAddr => $_,
    PeerPort => {port}, Timeout => 3); print "ESCAPED: connected to $_\\n" if $s }}'
perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); my $n = "\\0{abstract}";
    print "ESCAPED: abstract socket\\n" if connect($s, pack_sockaddr_un($n))'
perl -MSocket -e 'print "ESCAPED: raw packet socket\\n" if socket(my $s, 17, SOCK_RAW, 768) and
    syscall(16, fileno($s), 0x8933, my $r = pack("a16a24", "eth0", "")) == 0'
true
"""
DAEMON = """
echo "tried: a daemon"
(setsid sh -c 'trap "" HUP TERM; exec {sleep}' >/dev/null 2>&1 &)
(setsid perl -e '$SIG{{TERM}} = "IGNORE"; fork and exit; fork and exit; exec qw({sleep})' &)
"""
#: What counts starts no process, which may not be possible any more.
BOMB = (
    "bomb() { bomb | bomb & }; bomb; i=0; "
    "while [ $i -lt 30 ]; do set -- /proc/[0-9]*; echo processes: $#; i=$((i + 1)); done"
)
TERMINAL = r"""
echo "tried: escapes"
printf 'm.c:1:1: error: \033]0;owned\007 \033[2J \302\233 \r spoofed\n' >&2
exit 1
"""


@pytest.fixture
def attack(tool: Any, tmp_path: Path) -> Attack:
    """Build a package whose rules run *script*; as_root: in the binary target, as root inside."""

    def build(script: str, *words: str, as_root: bool = False) -> Any:
        tree = make_native(tmp_path, build="true" if as_root else "sh ./debian/attack")
        (tree / "debian/attack").write_text(script)
        if as_root:
            control, rules = tree / "debian/control", tree / "debian/rules"
            control.write_text(control.read_text().replace("Root: no", "Root: binary-targets"))
            rules.write_text(
                rules.read_text().replace(
                    "indep: build\n", 'indep: build\n\ttest "$$(id -u)" = 0\n\tsh ./debian/attack\n'
                )
            )
        return tool.build(tree, tmp_path / "out", *words)

    return build


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the host that everybody may read."""
    path = tmp_path / "hosts-secret-file"
    path.write_text(SECRET + "\n")
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    return path


@pytest.fixture
def victim() -> Iterator[int]:
    """A process of the host."""
    process = spawn(["sleep", "600"])
    yield process.pid
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    assert process.poll() is None, "a signal from inside ended a process of the host"
    assert state == "S", "a signal from inside stopped a process of the host"
    process.kill()
    process.wait()


def check_contained(built: Any, *, status: int = 0) -> None:
    assert built.status == status, built.said + built.log[-3000:]
    assert "tried: " in built.log
    assert not [line for line in built.log.splitlines() if line.startswith("ESCAPED:")]


#: Root inside may try more; the build user's turn is in the slow tier.
both = pytest.mark.parametrize("as_root", [pytest.param(False, marks=pytest.mark.slow), True], ids=["user", "root"])


@both
def test_files_of_the_host(attack: Attack, secret: Path, as_root: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_TOKEN", SECRET)
    script = FILES.format(secret=secret, word=SECRET.replace("-", "[-]"), name=secret.name)
    check_contained(attack(script, as_root=as_root))


@both
def test_switches_of_the_kernel(attack: Attack, as_root: bool) -> None:
    switches = [Path("/proc/sys/kernel/core_pattern"), Path("/proc/sys/kernel/hostname")]
    before = [path.read_text() for path in switches]
    check_contained(attack(KERNEL, as_root=as_root))
    assert [path.read_text() for path in switches] == before


@both
def test_device_nodes(attack: Attack, as_root: bool) -> None:
    check_contained(attack(DEVICES, as_root=as_root))


def test_mounts_stay_inside(attack: Attack, secret: Path) -> None:
    check_contained(attack(MOUNTS.format(secret=secret, word=SECRET.replace("-", "[-]")), as_root=True))
    assert "hostile-tmpfs" not in Path("/proc/self/mountinfo").read_text()


@both
def test_signals_to_the_host(attack: Attack, victim: int, as_root: bool) -> None:
    built = attack(SIGNALS.format(pid=victim), "--set", "limits.silence=20s", as_root=as_root)
    assert "tried: signals" in built.log  # it may well have ended or stopped itself
    assert built.status in (0, 4, 7), built.said


def test_sockets_of_the_host(attack: Attack) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        abstract = f"debootc-hostile-{os.getpid()}"
        local.bind(f"\0{abstract}")
        local.listen()
        port = server.getsockname()[1]
        check_contained(attack(SOCKETS.format(port=port, address="192.0.2.1", abstract=abstract), as_root=True))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_daemon_is_not_left_behind(attack: Attack) -> None:
    before, sleep = processes(), unique_sleep()
    check_contained(attack(DAEMON.format(sleep=sleep)))
    wait_for(lambda: not left_by(before, sleep))


def test_a_fork_bomb(attack: Attack) -> None:
    before, word = processes(), secrets.token_hex(8)
    # each process of it is a shell with the word in its command line
    script = f"echo 'tried: bomb'; exec sh -c '{BOMB}' {word}"
    built = attack(script, "--set", "limits.processes=200", "--set", "limits.time=180s")
    assert "tried: bomb" in built.log
    kind = built.result.failure.kind if built.result.failure else None
    assert (built.status, kind) in ((7, "processes"), (7, "time"), (4, "fork"), (0, None)), built.said
    # a listing is not of one moment: it names some that ended and some that came while it was read
    assert max(map(int, re.findall(r"^processes: (\d+)$", built.log, re.M)), default=0) <= 1000
    assert built.result.enforced["processes"] in ("cgroup1", "cgroup2", "rlimit")
    wait_for(lambda: not left_by(before, word))


def test_memory_is_held_by_the_best_that_the_host_grants(attack: Attack) -> None:
    script = "echo 'tried: memory'; perl -e 'push @x, q(a) x 1000000 while 1'"
    built = attack(script, "--set", "limits.memory=150M")
    assert (built.status, built.result.failure.kind) == (7, "memory"), built.said
    assert built.result.enforced["memory"] in ("cgroup1", "cgroup2", "init")
    assert f"I: The limit of memory, {150 << 20}, is held by {built.result.enforced['memory']}" in built.log


def test_endless_output(attack: Attack) -> None:
    built = attack("echo 'tried: output'; yes", "--set", "limits.log=3M")
    assert (built.status, built.result.status, built.result.failure.kind) == (7, Status.LIMIT, "log"), built.said
    assert (built.directory / "build.log").stat().st_size < 4 << 20


def test_terminal_escapes_do_not_reach_the_terminal(attack: Attack) -> None:
    built = attack(TERMINAL)
    check_contained(built, status=4)
    assert "spoofed" in built.said
    assert not [c for c in built.said if not c.isprintable() and c != "\n"]
    assert "\x1b" not in (built.directory / "result.json").read_text()


def test_setuid_results_are_plain_files_here(attack: Attack, tmp_path: Path) -> None:
    script = "echo 'tried: setuid'; cp /bin/sh ../shell; chmod 6755 ../shell; chmod 4777 debian; umask 0"
    built = attack(script)
    check_contained(built)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in built.directory.iterdir()}
    assert set(modes.values()) == {0o644}, modes
    assert {path.stat().st_uid for path in built.directory.iterdir()} == {os.geteuid()}


#: What a build may leave in place of its .deb or beside it. (name, script)
TRICKS = {
    "symlink": "ln -s {secret} ../tiny_1.0_all.deb",
    "directory": "mkdir ../tiny_1.0_all.deb",
    "fifo": "mkfifo ../tiny_1.0_all.deb",
    "hardlink": "ln {secret} ../tiny_1.0_all.deb",
    "dots": "echo '../../../../..{target} misc optional' >> debian/files",
    "result": "echo 'result.json misc optional' >> debian/files; echo x > ../result.json",
    "absolute": "echo '{target} misc optional' >> debian/files",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_in_the_result_directory(tool: Any, tmp_path: Path, secret: Path, trick: str) -> None:
    """After dpkg-deb has made the package, so that what dpkg-genchanges sees is the trick."""
    target = tmp_path / "overwritten"
    target.write_text("before\n")
    script = TRICKS[trick].format(secret=secret, target=target)
    tree = make_native(tmp_path)
    rules = tree / "debian/rules"
    rules.write_text(rules.read_text() + f"\techo tried: {trick}\n\trm -f ../tiny_1.0_all.deb.not; {script}\n")
    if trick in ("symlink", "directory", "fifo", "hardlink"):
        rules.write_text(rules.read_text().replace("rm -f ../tiny_1.0_all.deb.not", "rm -f ../tiny_1.0_all.deb"))
    silence = "15s" if trick == "fifo" else "300s"  # whoever opens the pipe waits for ever
    built = tool.build(tree, tmp_path / "out", "--set", f"limits.silence={silence}")
    assert built.status in (4, 7), built.said
    assert "tried: " in built.log
    assert target.read_text() == "before\n"
    for path in built.directory.iterdir():
        assert path.is_file(), path
        assert not path.is_symlink(), path
        assert SECRET not in path.read_text(errors="replace"), path


def test_a_symlink_in_the_way_of_a_result_is_replaced(tool: Any, tmp_path: Path) -> None:
    target, out = tmp_path / "target", tmp_path / "out"
    target.write_text("mine\n")
    out.mkdir()
    (out / "tiny_1.0_all.deb").symlink_to(target)
    built = tool.build(make_native(tmp_path), out)
    assert built.status in (0, 3), built.said
    assert target.read_text() == "mine\n"
    assert built.status == 3 or not (out / "tiny_1.0_all.deb").is_symlink()


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_links_in_a_source_package(tool: Any, tmp_path: Path, secret: Path, kind: str) -> None:
    """A tar that writes through a link of its own, and a link to a file of the host."""
    tree = make_native(tmp_path, build="cat leak; test ! -e /srv/through")
    done = tool.run("source", tree, "--resultdir", tmp_path / "source")
    assert done.status == 0, done.stderr.decode()
    (dsc,) = (tmp_path / "source").glob("*.dsc")
    tar = dsc.with_name("tiny_1.0.tar.xz")
    with tarfile.open(tar) as archive:
        members = [(member, member.isreg() and archive.extractfile(member)) for member in archive]
        kept = [(member, file.read() if file else b"") for member, file in members]
    with tarfile.open(tar, "w:xz") as archive:
        for member, content in kept:
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("tiny-1.0/leak")
        link.type = tarfile.SYMTYPE if kind == "symlink" else tarfile.LNKTYPE
        link.linkname = str(secret)
        archive.addfile(link)
        out = tarfile.TarInfo("tiny-1.0/out")
        out.type, out.linkname = tarfile.SYMTYPE, "/srv"
        archive.addfile(out)
        archive.addfile(tarfile.TarInfo("tiny-1.0/out/through"))
    text = dsc.read_text()
    head = text[: text.index("Checksums-Sha1")]
    data = tar.read_bytes()
    dsc.write_text(f"{head}Checksums-Sha256:\n {hashlib.sha256(data).hexdigest()} {len(data)} {tar.name}\n")
    built = tool.build(dsc, tmp_path / "out")
    assert built.status in (3, 4), built.said
    assert SECRET not in built.log
    assert not Path("/srv/through").exists()


def test_a_link_in_a_source_directory_is_packed_as_a_link(tool: Any, tmp_path: Path, secret: Path) -> None:
    tree = make_native(tmp_path)
    (tree / "leak").symlink_to(secret)
    (tree / "fifo-dir").mkdir()
    os.mkfifo(tree / "fifo-dir/fifo")
    done = tool.run("source", tree, "--resultdir", tmp_path / "source")
    assert done.status == 0, done.stderr.decode()
    with tarfile.open(tmp_path / "source/tiny_1.0.tar.xz") as archive:
        (leak,) = [member for member in archive if member.name.endswith("/leak")]
        assert leak.issym()
        assert not [member for member in archive if member.isfifo()]


def test_deb_mock_itself_goes_on_when_all_inside_is_killed(attack: Attack) -> None:
    built = attack(f"echo 'tried: kill'; kill -{int(signal.SIGKILL)} -1; sleep 60", as_root=True)
    assert built.status in (4, 6), built.said
    assert "tried: kill" in built.log
    assert built.result.status in (Status.FAILED, Status.HOST)
