"""One OSTree commit becomes a disk image that boots by itself under UEFI.

ostree deploys into a directory, mke2fs or mkfs.xfs copies that directory into the root partition, mtools fill the ESP,
sfdisk writes the table: all on plain files, all in a sandbox with mapped ids. The same arguments give the same bytes.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.boot.grub import generator
from deb_bootc_compose.disk import xfs
from deb_bootc_compose.disk.bench import WORK, Bench, open_bench
from deb_bootc_compose.disk.layout import (
    BLOCK,
    ESP_CLUSTER,
    ESP_LABEL,
    ROOT_LABEL,
    SECTOR,
    Identity,
    Layout,
    default_kargs,
    esp_grub_cfg,
    find_root_type,
    kernel_args,
    make_identity,
    make_layout,
    sfdisk_script,
)
from debcore.errors import CommandFailed, ConfigError
from debroot.store import Store

log = logging.getLogger(__name__)

OS_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
CHECKSUM = re.compile(r"[0-9a-f]{64}")
DISK = f"{WORK}/disk.raw"
ROOT = f"{WORK}/root"

#: ext4's inode flags: ext4(5), "Inode flags".
IMMUTABLE = 0x10

#: Letters of the UEFI architecture in file names, and GRUB's directory of signed images.
LOADERS = {"amd64": ("x64", "x86_64-efi-signed"), "arm64": ("aa64", "arm64-efi-signed")}


@dataclass(frozen=True)
class Remote:
    """Where the running image fetches its updates."""

    name: str
    url: str
    key: str | None  #: OpenPGP key, armoured: commits must be signed by it. None: nothing is checked
    verify_summary: bool = False  #: the repository's summary is signed too


@dataclass(frozen=True)
class Disk:
    """A raw disk image."""

    path: Path
    layout: Layout
    identity: Identity
    deployment: str  #: path of the deployment inside the root file system
    kargs: tuple[str, ...]  #: of the first deployment, without `ostree=`
    filesystem: str = "ext4"  #: of the root


def make_disk(
    store: Store,
    *,
    repo: Path,
    commit: str,
    ref: str,
    out: Path,
    size: int,
    epoch: int,
    suite: str = "trixie",
    arch: str = "amd64",
    os_name: str = "debian",
    kargs: tuple[str, ...] = (),
    remote: Remote | None = None,
    tree_id: str = "",
    filesystem: str = "ext4",
) -> Disk:
    """Write the raw image *out* of *size* bytes that boots *commit* (a checksum) of *repo*.

    *ref* is what the image follows for updates; the repository need not have it yet. *epoch* (seconds) is the time of
    everything on the disk. *kargs*: none: screen and serial line are consoles. *tree_id* names all ids on the disk;
    empty: the commit. *filesystem*: of the root, `ext4` or `xfs`.
    Errors: ConfigError on bad arguments and if the commit does not fit; CommandFailed.
    """
    layout, identity = make_layout(size), make_identity(tree_id or commit)
    find_root_type(arch)
    check_arguments(commit=commit, os_name=os_name, kargs=kargs)
    args = kernel_args(identity, kargs or default_kargs(arch))
    env = {"SOURCE_DATE_EPOCH": str(epoch)}
    log.info("Making the disk image %s (%d MiB)", out.name, size // 1024**2)
    with open_bench(store, suite=suite, arch=arch, binds={"/repo": repo}, env=env, trees=size) as bench:
        deploy(bench, commit=commit, ref=ref, os_name=os_name, args=args, remote=remote, epoch=epoch)
        deployment = f"/ostree/deploy/{os_name}/deploy/{commit}.0"
        bench.run(["truncate", "-s", str(size), DISK])
        bench.run(["sfdisk", "--quiet", DISK], stdin=sfdisk_script(layout, identity, arch).encode())
        fill_esp(bench, layout, identity, arch)
        if filesystem == "xfs":
            with xfs.xfs_bench(store, bench, suite=suite) as other:
                fill_root_xfs(other, layout, identity, deployment, suite)
        else:
            fill_root(bench, layout, identity)
            set_immutable(bench, layout, deployment)
        bench.take("disk.raw", out)
    return Disk(out, layout, identity, deployment, args, filesystem)


def check_arguments(*, commit: str, os_name: str, kargs: tuple[str, ...]) -> None:
    """Errors: ConfigError for what would only fail at boot, or be read as an option."""
    if not CHECKSUM.fullmatch(commit):
        raise ConfigError("commit", f"{commit!r} is no commit checksum", hint="ostree rev-parse REF prints it")
    if not OS_NAME.fullmatch(os_name):
        raise ConfigError("os-name", f"{os_name!r} is no name", hint="letters, digits, dots, dashes; 63 at most")
    for arg in kargs:
        if not arg.isprintable() or not arg or " " in arg:
            raise ConfigError("kargs", f"{arg!r} is no kernel argument", hint="write one argument a line, unquoted")


def deploy(
    bench: Bench, *, commit: str, ref: str, os_name: str, args: tuple[str, ...], remote: Remote | None, epoch: int
) -> None:
    """/work/root becomes a physical root: repository, one deployment, boot loader entries and menu."""
    repo = f"{ROOT}/ostree/repo"
    bench.run(["mkdir", "-m", "755", ROOT])
    bench.run(["ostree", "admin", "init-fs", "--modern", ROOT])
    # bootprefix: /boot is on the root, so the entries' paths begin with /boot.
    for key in ("sysroot.readonly", "sysroot.bootprefix"):
        bench.run(["ostree", f"--repo={repo}", "config", "set", key, "true"])
    bench.run(["ostree", "admin", "os-init", f"--sysroot={ROOT}", os_name])
    verify = add_remote(bench, repo, remote, ref)
    bench.run(["ostree", f"--repo={repo}", "pull-local", "--disable-fsync", *verify, "/repo", commit])
    refspec = f"{remote.name}:{ref}" if remote else ref
    bench.run(["ostree", f"--repo={repo}", "refs", f"--create={refspec}", commit])
    prepare_menu(bench)
    bench.run(
        ["env", f"OSTREE_GRUB2_EXEC={WORK}/grub-generator", "ostree", "admin", "deploy", f"--sysroot={ROOT}",
         f"--os={os_name}", *(f"--karg-append={arg}" for arg in args), refspec]
    )  # fmt: skip
    # What ostree made just now bears the time of day; the content of the commit bears 0 and would bear 1970.
    bench.run(["find", ROOT, "-xdev", "-exec", "touch", "--no-dereference", f"--date=@{epoch}", "{}", "+"])


def add_remote(bench: Bench, repo: str, remote: Remote | None, ref: str) -> list[str]:
    """Configure *remote*; returns the options with which the commit is pulled (its signature is checked then)."""
    if remote is None:
        return []
    verify = str(remote.key is not None).lower()
    summary = str(remote.key is not None and remote.verify_summary).lower()
    bench.run(
        ["ostree", f"--repo={repo}", "remote", "add", f"--set=gpg-verify={verify}",
         f"--set=gpg-verify-summary={summary}", remote.name, remote.url, ref]
    )  # fmt: skip
    if remote.key:
        bench.run(
            ["ostree", f"--repo={repo}", "remote", "gpg-import", "--stdin", remote.name], stdin=remote.key.encode()
        )
    return [f"--remote={remote.name}", *(["--gpg-verify"] if remote.key else [])]


def prepare_menu(bench: Bench) -> None:
    """An empty menu in the place where OSTree looks for GRUB's: without it the first deployment writes none."""
    script = """
    cat > grub-generator && chmod 755 grub-generator
    cd root/boot
    mkdir -p grub loader.0/entries
    ln -s ../loader/grub.cfg grub/grub.cfg
    ln -s loader.0 loader
    : > loader.0/grub.cfg
    """
    bench.run(["sh", "-euc", script], stdin=generator())


def fill_esp(bench: Bench, layout: Layout, identity: Identity, arch: str) -> None:
    """FAT32 with Debian's signed shim, GRUB and MOK manager in the place of removable media: no NVRAM entry needed."""
    letters, signed = LOADERS[arch]
    bench.run(
        ["mkfs.vfat", "--invariant", "-F", "32", "-s", str(ESP_CLUSTER), "-i", identity.esp_volume, "-n", ESP_LABEL,
         "--offset", str(layout.esp_start // SECTOR), DISK, str(layout.esp_size // 1024)]
    )  # fmt: skip
    esp = f"{DISK}@@{layout.esp_start}"
    bench.run(["mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", "::/EFI/debian"])
    for source, target in (
        (f"/usr/lib/shim/shim{letters}.efi.signed", f"BOOT{letters.upper()}.EFI"),
        (f"/usr/lib/shim/mm{letters}.efi.signed", f"mm{letters}.efi"),
        (f"/usr/lib/grub/{signed}/grub{letters}.efi.signed", f"grub{letters}.efi"),
    ):
        bench.run(["mcopy", "-i", esp, source, f"::/EFI/BOOT/{target}"])
    bench.run(["mcopy", "-i", esp, "-", "::/EFI/debian/grub.cfg"], stdin=esp_grub_cfg(identity).encode())


def fill_root(bench: Bench, layout: Layout, identity: Identity) -> None:
    """ext4 with the content of /work/root, exactly as large as its partition. verity is for composefs to come."""
    options = {
        "offset": str(layout.root_start),
        "hash_seed": str(identity.hash_seed),
        "assume_storage_prezeroed": "1",  # the file is new and sparse
    }
    try:
        bench.run(
            ["mke2fs", "-q", "-t", "ext4", "-b", str(BLOCK), "-O", "verity", "-L", ROOT_LABEL, "-m", "1",
             "-U", str(identity.root_fs), "-E", ",".join(f"{k}={v}" for k, v in options.items()),
             "-d", ROOT, DISK, str(layout.root_size // BLOCK)]
        )  # fmt: skip
    except CommandFailed as error:
        if "Could not allocate" in error.output or "No free space" in error.output:
            raise _too_small(bench, layout) from error
        raise


def fill_root_xfs(bench: Bench, layout: Layout, identity: Identity, deployment: str, suite: str) -> None:
    """The same with xfs, immutable deployment included. *bench* has the programs of xfs_tools."""
    xfs.check_acls(bench, ROOT)
    try:
        xfs.fill_xfs(bench, layout, identity, root=ROOT, suite=suite)
    except CommandFailed as error:
        if "No space left on device" in error.output:
            raise _too_small(bench, layout) from error
        raise
    xfs.set_immutable(bench, deployment)
    xfs.put_root(bench, layout, DISK)


def _too_small(bench: Bench, layout: Layout) -> ConfigError:
    used = bench.run(["du", "-sm", ROOT]).text.split()[0]
    return ConfigError(
        "size", f"the commit's {used} MiB do not fit on a disk of {layout.size // 1024**2} MiB",
        hint="updates need as much again: make the disk larger",
    )  # fmt: skip


def set_immutable(bench: Bench, layout: Layout, deployment: str) -> None:
    """Nobody writes beside /etc and /var: ostree sets this flag where it may, which is not in a user namespace.

    Errors: CommandFailed if the flag is not there afterwards.
    """
    flags = inode_flags(bench, DISK, layout, deployment)
    request = f"set_inode_field {deployment} flags {flags | IMMUTABLE:#x}"
    done = bench.run(["debugfs", "-w", "-R", request, f"{DISK}?offset={layout.root_start}"])
    if not inode_flags(bench, DISK, layout, deployment) & IMMUTABLE:
        raise CommandFailed(done.argv, done.status, done.stderr.decode("utf-8", "replace"))


def inode_flags(bench: Bench, disk: str, layout: Layout, path: str) -> int:
    """Flags of an inode of the root file system on *disk*. Errors: CommandFailed if it has no such path."""
    done = bench.run(["debugfs", "-R", f"stat {path}", f"{disk}?offset={layout.root_start}"])
    found = re.search(r"Flags: (0x[0-9a-f]+)", done.text)
    if found is None:
        raise CommandFailed(done.argv, done.status, done.stderr.decode("utf-8", "replace") or done.text)
    return int(found[1], 16)
