"""Every lint passes a good tree and finds the one thing that is wrong in a bad one."""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from deb_bootc_compose.lints import baseimage_root, setuid
from deb_bootc_compose.lints.contract import BESIDE, RULES
from deb_bootc_compose.lints.cpio import read_archive
from deb_bootc_compose.lints.model import Root
from deb_bootc_compose.lints.registry import LINTS, run_lints
from tests.unit.deb_bootc_compose.lints.conftest import cpio

FEATURES = ("libcurl", "libarchive")
Break = Callable[[Path], object]
KERNEL = "usr/lib/modules/6.12.0-test"


def put(name: str, content: str | bytes = "x") -> Break:
    def act(tree: Path) -> None:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return act


def link(name: str, target: str) -> Break:
    def act(tree: Path) -> None:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return act


def remove(name: str) -> Break:
    def act(tree: Path) -> None:
        path = tree / name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    return act


def make(name: str) -> Break:
    return lambda tree: (tree / name).mkdir()


def mode(name: str, bits: int) -> Break:
    return lambda tree: (tree / name).chmod(bits)


def append(name: str, text: str) -> Break:
    def act(tree: Path) -> None:
        with (tree / name).open("a") as file:
            file.write(text)

    return act


def put_bytes_name(tree: Path) -> None:
    Path(os.fsdecode(os.fsencode(tree) + b"/usr/bin/caf\xe9")).write_text("")


def link_to_bytes(tree: Path) -> None:
    (tree / "usr/bin/cafe").symlink_to(os.fsdecode(b"caf\xe9"))


def make_socket(tree: Path) -> None:
    os.chdir(tree)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("run/s")


def link_outside(tree: Path) -> None:
    (tree.parent / "outside").write_text("")
    os.link(tree.parent / "outside", tree / "usr/bin/linked")


def forget_owner(tree: Path) -> None:
    (tree / "etc/passwd").write_text("other:x:4711:4711::/:/bin/sh\n")
    (tree / "etc/group").write_text("other:x:4711:\n")
    (tree / "usr/lib/sysusers.d/basic.conf").write_text("u other 4711\n")


BAD: list[tuple[str, Break, str]] = [
    ("api-base-directories", remove("proc"), "/proc is not a directory"),
    ("api-base-directories", lambda t: (remove("tmp")(t), link("tmp", "var")(t)), "/tmp is not a directory"),
    ("baseimage-root", link("ostree", "/sysroot/ostree"), "leads to '/sysroot/ostree'"),
    ("baseimage-root", lambda t: (remove("ostree")(t), make("ostree")(t)), "/ostree is not a symlink"),
    ("baseimage-root", remove("sysroot"), "/sysroot is not a directory"),
    ("bootc-kargs", put("usr/lib/bootc/kargs.d/20.toml", "karg = []"), "unknown key karg"),
    ("bootc-kargs", put("usr/lib/bootc/kargs.d/20.toml", "match-architectures = []"), "no key kargs"),
    ("bootc-kargs", put("usr/lib/bootc/kargs.d/20.toml", 'kargs = "quiet"'), "not a list of strings"),
    ("bootc-kargs", put("usr/lib/bootc/kargs.d/20.toml", "kargs = ["), "20.toml"),
    ("etc-usretc", put("usr/etc/motd"), "both /etc and /usr/etc"),
    ("kernel", put("usr/lib/modules/7.0/vmlinuz"), "more than one kernel"),
    ("utf8", put_bytes_name, "the name is not UTF-8"),
    ("utf8", link_to_bytes, "the link's target is not UTF-8"),
    ("var-run", put("var/run/x"), "/var/run is not a symlink"),
    ("baseimage-composefs", remove("usr/lib/ostree/prepare-root.conf"), "there is no prepare-root.conf"),
    ("baseimage-composefs", put("etc/ostree/prepare-root.conf", "[composefs]\nenabled = no\n"), "'no'"),
    ("baseimage-composefs", put("etc/ostree/prepare-root.conf", "enabled = yes\n"), "prepare-root.conf: "),
    (
        "baseimage-composefs",
        put(f"{baseimage_root.TEMPLATE}/usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = no\n"),
        f"/{baseimage_root.TEMPLATE}/: prepare-root.conf: composefs.enabled is 'no'",
    ),
    ("baseimage-root", put(f"{baseimage_root.TEMPLATE}/x"), f"/{baseimage_root.TEMPLATE}/sysroot is not a directory"),
    (
        "bootc-kargs",
        lambda t: (
            remove("usr/lib/bootc/kargs.d/10.toml")(t),
            remove("usr/lib/bootc/kargs.d")(t),
            put("usr/lib/bootc/kargs.d")(t),
        ),
        "kargs.d is not a directory",
    ),
    ("background-units", put("usr/lib/systemd/system/apt-daily.timer"), "apt-daily.timer is neither masked nor"),
    ("buildah-injected", put("etc/hostname", ""), "/etc/hostname is an empty file"),
    ("buildah-injected", put("etc/resolv.conf", ""), "/etc/resolv.conf is an empty file"),
    ("nonempty-boot", put("boot/vmlinuz"), "/boot/vmlinuz"),
    ("nonempty-boot", remove("boot"), "there is no /boot"),
    ("nonempty-run-tmp", put("run/lock"), "/run/lock"),
    ("nonempty-run-tmp", put("tmp/x"), "/tmp/x"),
    ("sysusers", append("etc/passwd", "new:x:1234:0::/:/bin/sh\n"), "user new"),
    ("sysusers", append("etc/group", "new:x:1234:\n"), "group new"),
    ("sysusers", put("usr/lib/sysusers.d/bad.conf", "x what\n"), "no line of sysusers.d"),
    ("var-log", put("var/log/dpkg.log"), "/var/log/dpkg.log"),
    ("var-tmpfiles", lambda t: (t / "var/lib/foo").mkdir(), "/var/lib/foo has no line"),
    ("var-tmpfiles", put("var/lib/foo"), "only directories and links"),
    ("bootc-client", remove("usr/bin/bootc"), "no /usr/bin/bootc"),
    ("top-level", link("home", "/var/home"), "/home leads to '/var/home'"),
    ("top-level", put("initrd.img"), "/initrd.img does not belong"),
    ("top-level", lambda t: (remove("srv")(t), make("srv")(t)), "/srv is not a link"),
    ("sysroot-empty", put("sysroot/x"), "/sysroot is not empty"),
    ("sysroot-empty", lambda t: (t / "sysroot").chmod(0o700), "mode 0700"),
    ("file-names-ascii", put("usr/share/Főtanúsítvány.crt"), "F"),
    ("file-names-ascii", link("usr/share/l", "Főtanúsítvány.crt"), "/usr/share/l: the link's target"),
    ("special-files", lambda t: os.mkfifo(t / "usr/bin/pipe"), "/usr/bin/pipe"),
    ("special-files", make_socket, "/run/s"),
    ("hard-links", link_outside, "2 names, 1 of them"),
    ("dpkg-database", remove("usr/lib/sysimage/dpkg/status"), "no dpkg database"),
    ("dpkg-database", link("var/lib/dpkg", "/usr/lib/sysimage/dpkg"), "is not a link to ../../"),
    ("dpkg-database", put("usr/lib/tmpfiles.d/var.conf", "d /var/lib 0755\n"), "no line of tmpfiles.d"),
    ("dpkg-database", put("usr/lib/sysimage/dpkg/status", ""), "no package"),
    (
        "dpkg-database",
        append("usr/lib/sysimage/dpkg/status", "\nPackage: x\nStatus: install ok half-configured\nVersion: 1\n"),
        "x is half-configured",
    ),
    ("var-files", put("var/lib/state"), "/var/lib/state"),
    ("machine-id", remove("etc/machine-id"), "no /etc/machine-id"),
    ("machine-id", put("etc/machine-id", "0123456789abcdef0123456789abcdef\n"), "has an id"),
    ("machine-id", put("usr/lib/systemd/system-preset/20-image.preset", "enable a.service\n"), "`disable *`"),
    (
        "machine-id",
        put("usr/lib/systemd/system/systemd-firstboot.service", "[Service]\nExecStart=x --prompt-timezone\n"),
        "would ask",
    ),
    ("identity", put("etc/ssh/ssh_host_ed25519_key"), "ssh_host_ed25519_key"),
    ("identity", put("usr/sbin/policy-rc.d"), "policy-rc.d"),
    ("identity", put("etc/shadow-"), "/etc/shadow-"),
    ("identity", put("etc/.resolv.conf.systemd-resolved.bak"), "/etc/.resolv.conf.systemd-resolved.bak"),
    ("identity", put("etc/fstab", "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n"), "placeholder"),
    ("ownership", forget_owner, "has no name"),
    ("pinned-ids", put("usr/lib/sysusers.d/00-ids.conf", "u messagebus - -\nu me 0\n"), "messagebus has 990"),
    ("enablement-links", link("etc/systemd/system/multi-user.target.wants/a.service", "/x"), "a.service"),
    ("prepare-root", put("etc/ostree/prepare-root.conf", "[sysroot]\nreadonly = true\n"), "both in /etc and /usr/lib"),
    (
        "prepare-root",
        put("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = yes\n[sysroot]\nreadonly = true\n"),
        "built without it",
    ),
    (
        "prepare-root",
        put("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = signed\n[sysroot]\nreadonly = true\n"),
        "cannot verify ed25519",
    ),
    ("prepare-root", put("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = maybe\n"), "readonly is not true"),
    ("initramfs", remove(f"{KERNEL}/initramfs.img"), "is missing"),
    ("initramfs", remove(f"{KERNEL}/vmlinuz"), "no kernel"),
    ("initramfs", put(f"{KERNEL}/initramfs.img", b"garbage"), "unknown compression"),
    ("initramfs", put(f"{KERNEL}/initramfs.img", b"070701"), "cut off"),
    ("initramfs", append("usr/lib/ostree/prepare-root.conf", "# changed\n"), "is not the tree's"),
    (
        "bytecode",
        put("usr/lib/python3/__pycache__/a.cpython-313.pyc", b"\xf3\r\r\n" + bytes(4) + b"abcd" + bytes(4)),
        "a.",
    ),
    (
        "repoclosure",
        append("usr/lib/sysimage/dpkg/status", "Depends: b (>= 2)\n"),
        "a depends on b (>= 2), which nothing in the image provides",
    ),
    ("state-layout", link("opt", "/var/opt"), "/opt leads to '/var/opt'"),
    ("state-layout", put("usr/local"), "neither a directory nor a link"),
    ("state-targets", put("usr/lib/tmpfiles.d/00.conf", "d /var/roothome 0755\n"), "it is root's home"),
    ("state-targets", put("usr/lib/tmpfiles.d/var.conf", ""), "/home leads to /var/home"),
    ("useradd-home", put("etc/default/useradd", "HOME=/home\n"), "HOME=/home"),
    ("package-registries", lambda t: (t / "var/lib/ucf").mkdir(), "/var/lib/ucf is no relative link"),
    ("package-registries", link("var/lib/pam", "/usr/lib/sysimage/pam"), "/var/lib/pam is no relative link"),
    ("apt-directories", remove("var/log/apt"), "/var/log/apt is not there"),
    ("apt-directories", put("usr/lib/tmpfiles.d/var.conf", ""), "/var/tmp is not made by tmpfiles.d"),
    ("stale-caches", put("usr/share/icons/hicolor/icon-theme.cache"), "icon-theme.cache"),
    ("name-services", put("etc/nsswitch.conf", "group: files altfiles\n"), "looks up group in altfiles"),
    ("dracut-conf", put("etc/dracut.conf.d/90.conf", 'hostonly="yes"\n'), "hostonly is yes"),
    ("dracut-conf", remove("usr/lib/dracut/dracut.conf.d/50-image.conf"), "reproducible is not set"),
    ("kernel-config", put(f"{KERNEL}/config", "CONFIG_EXT4_FS=y\n"), "lacks CONFIG_OVERLAY_FS"),
    (
        "root-filesystem",
        put("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = verity\n[sysroot]\nreadonly = true\n"),
        "composefs is 'verity' in /usr/lib/ostree/prepare-root.conf: xfs has no fs-verity",
    ),
    ("root-filesystem", remove("usr/sbin/xfs_repair"), "add the package xfsprogs"),
    (
        "root-filesystem",
        put(f"{KERNEL}/config", "CONFIG_XFS_FS=m\n"),
        "the initramfs of 6.12.0-test has no module for it: add /usr/lib/dracut/dracut.conf.d/60-xfs.conf",
    ),
    ("selinux", put("etc/selinux/default/policy/policy.33"), "bear no labels"),
    ("setuid", lambda t: (put("usr/bin/mine")(t), mode("usr/bin/mine", 0o4755)(t)), "/usr/bin/mine has mode 4755"),
]


def findings(tree: Path) -> list[tuple[str, str]]:
    return [(f.lint, f.message) for f in run_lints(Root(tree, ostree_features=FEATURES, filesystem="xfs"))]


def test_a_good_tree_has_no_finding(tree: Path) -> None:
    assert findings(tree) == []


@pytest.mark.parametrize(("lint", "act", "message"), BAD, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(BAD)])
def test_a_lint_finds_what_it_is_for(
    lint: str, act: Break, message: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree.parent)
    act(tree)
    assert any(name == lint and message in text for name, text in findings(tree)), findings(tree)


def test_every_lint_has_a_bad_tree_and_names_are_unique() -> None:
    names = [lint.name for lint in LINTS]
    assert len(set(names)) == len(names)
    assert set(names) == {name for name, _, _ in BAD}


def test_every_rule_of_the_contract_is_held_and_every_lint_holds_one() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES) == 50
    assert [rule.id for rule in RULES if not rule.lints and not rule.elsewhere] == []
    named = {name for rule in RULES for name in rule.lints}
    assert named | set(BESIDE) == {lint.name for lint in LINTS}
    assert not named & set(BESIDE)


def test_all_fourteen_of_bootc_are_there() -> None:
    assert sorted(lint.name for lint in LINTS if lint.origin == "bootc") == [
        "api-base-directories", "baseimage-composefs", "baseimage-root", "bootc-kargs", "buildah-injected",
        "etc-usretc", "kernel", "nonempty-boot", "nonempty-run-tmp", "sysusers", "utf8", "var-log",
        "var-run", "var-tmpfiles",
    ]  # fmt: skip


def test_what_bootc_allows_passes(tree: Path) -> None:
    put("run/systemd/resolve/stub-resolv.conf", "")(tree)
    put("boot/EFI/Linux/a.efi")(tree)
    put("etc/hostname", "")(tree)
    remove("etc/hostname")(tree)
    link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")(tree)
    put("usr/lib/ostree/prepare-root.conf", "[sysroot]\nreadonly = true\n[root]\ntransient = true\n")(tree)
    found = {name for name, _ in findings(tree)}
    assert not found & {"nonempty-run-tmp", "nonempty-boot", "buildah-injected", "baseimage-composefs"}


def test_file_capabilities_are_for_known_programs(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ping", "mine"):
        put(f"usr/bin/{name}")(tree)
        mode(f"usr/bin/{name}", 0o755)(tree)
    monkeypatch.setattr(setuid, "has_capabilities", lambda path: True)
    assert ("setuid", "/usr/bin/mine has file capabilities") in findings(tree)
    assert not any("ping" in message for _, message in findings(tree))


def test_units_in_the_background_may_be_masked_or_chosen(tree: Path) -> None:
    for unit in ("apt-daily.timer", "man-db.timer", "e2scrub_all.timer"):
        put(f"usr/lib/systemd/system/{unit}")(tree)
    link("etc/systemd/system/apt-daily.timer", "/dev/null")(tree)
    link("usr/lib/systemd/system/man-db.timer", "/dev/null")(tree)
    put("usr/lib/systemd/system-preset/10-own.preset", "enable e2scrub_all.timer\n")(tree)
    assert findings(tree) == []


def test_an_empty_machine_id_needs_no_preset(tree: Path) -> None:
    put("etc/machine-id", "")(tree)
    remove("usr/lib/systemd/system-preset/20-image.preset")(tree)
    assert findings(tree) == []


def test_an_xfs_root_needs_its_module_where_the_kernel_has_it_not_built_in(tree: Path) -> None:
    config, image = tree / KERNEL / "config", tree / KERNEL / "initramfs.img"
    config.write_text(config.read_text().replace("CONFIG_XFS_FS=y", "CONFIG_XFS_FS=m"))
    assert [name for name, _ in findings(tree)] == ["root-filesystem"]
    assert run_lints(Root(tree, ostree_features=FEATURES)) == [], "ext4 needs none of it"
    image.write_bytes(image.read_bytes() + cpio({f"{KERNEL}/kernel/fs/xfs/xfs.ko.xz": b"module"}))
    assert findings(tree) == []


def test_an_initramfs_may_have_several_archives(tree: Path) -> None:
    image = tree / KERNEL / "initramfs.img"
    plain = image.read_bytes()
    image.write_bytes(plain + gzip.compress(plain, mtime=0))
    assert read_archive(image)
    assert findings(tree) == []
