"""What make_disk asks of its tools, and what it refuses before it starts any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deb_bootc_compose.disk.bench import Bench
from deb_bootc_compose.disk.image import (
    IMMUTABLE,
    Remote,
    add_remote,
    check_arguments,
    deploy,
    fill_esp,
    fill_root,
    set_immutable,
)
from deb_bootc_compose.disk.layout import make_identity, make_layout
from debcore.command import Completed
from debcore.errors import CommandFailed, ConfigError
from debroot.sandbox import Sandbox

COMMIT = "0123456789abcdef" * 4
LAYOUT = make_layout(2048 * 1024**2)
IDENTITY = make_identity(COMMIT)


@dataclass(frozen=True)
class Recorder(Bench):
    """A bench that runs nothing."""

    answers: dict[str, list[str]] = field(default_factory=dict)  #: program → what its calls print, in order
    error: CommandFailed | None = None
    seen: list[tuple[list[str], bytes]] = field(default_factory=list)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", check: bool = True) -> Completed:
        self.seen.append((list(argv), stdin))
        if self.error is not None and argv[0] == self.error.argv[0]:
            raise self.error
        printed = self.answers.get(argv[0], [])
        return Completed(tuple(argv), 0, (printed.pop(0) if printed else "").encode(), b"")

    def lines(self) -> list[str]:
        return [" ".join(argv) for argv, _ in self.seen]


def recorder(**answers: list[str]) -> Recorder:
    return Recorder(Sandbox(), Path("/scratch"), answers)


@pytest.mark.parametrize(
    ("commit", "os_name", "kargs", "where"),
    [
        ("trixie/amd64/base", "debian", (), "commit"),
        (COMMIT, "../etc", (), "os-name"),
        (COMMIT, "--help", (), "os-name"),
        (COMMIT, "debian", ("a b",), "kargs"),
        (COMMIT, "debian", ("a\nb",), "kargs"),
        (COMMIT, "debian", ("",), "kargs"),
    ],
)
def test_what_would_only_fail_at_boot_is_refused(commit: str, os_name: str, kargs: tuple[str, ...], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_arguments(commit=commit, os_name=os_name, kargs=kargs)
    assert caught.value.where == where
    assert caught.value.hint


def test_the_menu_is_prepared_before_the_first_deployment_and_times_are_set_after_it() -> None:
    bench = recorder()
    deploy(bench, commit=COMMIT, ref="debian/x", os_name="debian", args=("rw",), remote=None, epoch=17)
    lines = bench.lines()
    order = [next(i for i, line in enumerate(lines) if words in line) for words in (
        "sysroot.bootprefix true", f"pull-local --disable-fsync /repo {COMMIT}", f"--create=debian/x {COMMIT}",
        "loader.0/grub.cfg", "admin deploy", "touch --no-dereference --date=@17",
    )]  # fmt: skip
    assert order == sorted(order)
    assert "OSTREE_GRUB2_EXEC=/work/grub-generator" in next(line for line in lines if "admin deploy" in line)


def test_a_key_is_imported_from_standard_input_and_the_commit_checked_by_it() -> None:
    bench = recorder()
    remote = Remote("origin", "http://updates.example.org", "KEY")
    deploy(bench, commit=COMMIT, ref="debian/x", os_name="debian", args=(), remote=remote, epoch=17)
    assert "--remote=origin --gpg-verify /repo" in next(line for line in bench.lines() if "pull-local" in line)
    assert bench.lines()[-2].endswith(" origin:debian/x")
    assert [stdin for argv, stdin in bench.seen if "gpg-import" in argv] == [b"KEY"]
    assert not any("KEY" in line for line in bench.lines())


def test_a_remote_without_a_key_checks_nothing_and_says_so() -> None:
    bench = recorder()
    assert add_remote(bench, "/r", Remote("origin", "http://x.example.org", None), "ref") == ["--remote=origin"]
    assert "--set=gpg-verify=false --set=gpg-verify-summary=false" in bench.lines()[0]


def test_the_signed_loaders_go_where_firmware_looks_for_them() -> None:
    bench = recorder()
    fill_esp(bench, LAYOUT, IDENTITY, "amd64")
    lines = bench.lines()
    assert any("shimx64.efi.signed ::/EFI/BOOT/BOOTX64.EFI" in line for line in lines)
    assert any("grubx64.efi.signed ::/EFI/BOOT/grubx64.efi" in line for line in lines)
    assert all("@@1048576" in line for line in lines[1:])
    assert "--offset 2048" in lines[0]


def test_a_commit_that_does_not_fit_is_a_matter_of_size() -> None:
    full = CommandFailed(["mke2fs"], 1, "mke2fs: Could not allocate block in ext2 filesystem while populating")
    bench = Recorder(Sandbox(), Path("/scratch"), {"du": ["1900\t/work/root"]}, full)
    with pytest.raises(ConfigError, match="1900 MiB do not fit") as caught:
        fill_root(bench, LAYOUT, IDENTITY)
    assert caught.value.hint


def test_the_immutable_flag_is_added_to_the_others_and_asserted() -> None:
    bench = recorder(debugfs=["Flags: 0x80000\n", "", f"Flags: {0x80000 | IMMUTABLE:#x}\n"])
    set_immutable(bench, LAYOUT, "/ostree/x")
    assert "set_inode_field /ostree/x flags 0x80010" in bench.lines()[1]
    lost = recorder(debugfs=["Flags: 0x80000\n", "", "Flags: 0x80000\n"])
    with pytest.raises(CommandFailed):
        set_immutable(lost, LAYOUT, "/ostree/x")
