"""The rules that an image must keep, and who sees that it does. The reference page of the contract is made from this.

Rules of the tree are lints, with a tree that passes and one that fails each (tests/unit/deb_bootc_compose/lints). What
is no matter of the tree alone is held elsewhere: `elsewhere` says by what.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One rule. It has lints, or `elsewhere` says what holds it."""

    id: str
    text: str
    lints: tuple[str, ...] = ()
    elsewhere: str = ""


def _rule(name: str, text: str, *lints: str, elsewhere: str = "") -> Rule:
    return Rule(name, text, lints, elsewhere)


RULES: tuple[Rule, ...] = (
    _rule("L1", "/bin, /sbin, /lib and /lib64 are links into /usr", "top-level"),
    _rule("L2", "/sysroot is an empty directory", "baseimage-root", "sysroot-empty"),
    _rule("L3", "/ostree is a link with exactly the text sysroot/ostree", "baseimage-root"),
    _rule("L4", "mount points of the system are real, and empty", "api-base-directories", "nonempty-run-tmp",
          "special-files"),
    _rule("L5", "/boot is there and empty", "nonempty-boot"),
    _rule("L6", "no link to a kernel at the top", "top-level"),
    _rule("L7", "/home, /root, /srv, /mnt and /media are relative links to state", "top-level"),
    _rule("L8", "/opt and /usr/local are state, or part of the image", "state-layout"),
    _rule("L9", "what these links lead to is made at boot", "state-targets"),
    _rule("L10", "useradd makes homes below /var/home", "useradd-home"),
    _rule("L11", "names and link targets are UTF-8; names are ASCII", "utf8", "file-names-ascii"),
    _rule("L12", "no fifo, socket or device node", "special-files"),
    _rule("L13", "hard links stay inside the tree, and inside one layer", "hard-links",
          elsewhere="layers: the plan puts all names of a file into one; the import is replayed in each compose"),
    _rule("S1", "configuration is in /etc of an image and /usr/etc of a commit, never in both", "etc-usretc"),
    _rule("S2", "/var has nothing but directories and declared links", "var-files", "var-tmpfiles", "var-log",
          "var-run"),
    _rule("S3", "every path that packages leave in /var is classified; no rule is stale", "var-files",
          elsewhere="the step var-audit, which fails before the slow steps"),
    _rule("S4", "dpkg's database is below /usr", "dpkg-database"),
    _rule("S5", "what maintainer scripts wrote down is below /usr", "package-registries"),
    _rule("S6", "apt finds its directories in a derived image", "apt-directories"),
    _rule("S7", "the machine id is empty or `uninitialized`, and presets end in `disable *`", "machine-id"),
    _rule("S8", "the first boot asks nothing", "machine-id"),
    _rule("S9", "nothing belongs to one machine", "identity", "buildah-injected",
          elsewhere="/etc/hostname and /etc/fstab: the step identity, unless the manifest put them there"),
    _rule("S10", "/etc/resolv.conf is a link or missing, never an empty file", "buildah-injected"),
    _rule("S11", "units are enabled by presets, not by links in /etc", "enablement-links"),
    _rule("S12", "byte code is valid with all times at 0", "bytecode"),
    _rule("S13", "no cache is in the image that is checked by time", "stale-caches"),
    _rule("U1", "every user and group is known to sysusers.d", "sysusers"),
    _rule("U2", "ids are pinned, and a moved one fails", "pinned-ids",
          elsewhere="the id ledger (`users.ledger`), applied before packages install and checked after"),
    _rule("U3", "nobody is looked up in nss-altfiles", "name-services"),
    _rule("U4", "every owner has a name", "ownership"),
    _rule("K1", "exactly one kernel, in /usr/lib/modules", "kernel", "initramfs"),
    _rule("K2", "an initramfs beside it", "initramfs"),
    _rule("K3", "the kernel is a file of its own there, whichever way Debian ships it", "kernel", "initramfs"),
    _rule("K4", "dracut makes it for any machine, reproducibly, after prepare-root.conf", "dracut-conf", "initramfs"),
    _rule("K5", "it has ostree-prepare-root with the tree's own configuration", "initramfs"),
    _rule("K6", "the kernel has the file systems that are needed", "kernel-config", "root-filesystem"),
    _rule("K7", "kernel arguments of the image are in kargs.d, in bootc's form", "bootc-kargs"),
    _rule("K8", "systemd's GPT generator does not mount the ESP over /boot",
          elsewhere="disk.layout.kernel_args; every boot gate"),
    _rule("K9", "no hook of a kernel or service runs in the build, and nothing of that stays", "identity",
          elsewhere="tree.stages: INITRD=No, policy-rc.d"),
    _rule("P1", "prepare-root.conf is there", "baseimage-composefs"),
    _rule("P2", "it asks for what the image's own ostree can do", "prepare-root"),
    _rule("P3", "it is in one place", "prepare-root"),
    _rule("P4", "directories at the top survive the import",
          elsewhere="the import that bootc does is replayed in each compose and compared with the commit"),
    _rule("P5", "OSTree keeps GRUB's menu", elsewhere="disk.image and disk.check; the update gate"),
    _rule("P6", "boot entries name /boot/ostree", elsewhere="disk.image: sysroot.bootprefix; every boot gate"),
    _rule("P7", "/boot is no FAT file system", elsewhere="disk.layout: /boot is on the root, ext4 or xfs"),
    _rule("P8", "an image for bootc has bootc", "bootc-client"),
    _rule("P9", "GRUB reads the menu that our generator writes", elsewhere="boot/grub-generator; every boot gate"),
    _rule("P10", "no SELinux policy without labels", "selinux"),
    _rule("M1", "no unit changes packages or /boot by itself, unless it was chosen", "background-units"),
)  # fmt: skip

#: Lints that hold what no rule of the contract says.
BESIDE = {
    "setuid": "programs that run with other rights are those that are known",
    "repoclosure": "packages find what they need in the image: Policy 7",
}
