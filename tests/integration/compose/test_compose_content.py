"""What a manifest leaves out and what it does in the tree, all of it in one real compose; a script that fails first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_bootc_compose.directory import list_composes
from deb_bootc_compose.journal import read_results
from deb_bootc_compose.lints.cpio import read_archive
from deb_bootc_compose.tree import dpkg, files
from debcore.path import inside
from debroot.store import Store
from tests.integration.compose.world import MANIFEST, Composer

pytestmark = [pytest.mark.root, pytest.mark.slow]

CONTENT = r"""
documentation: {keep: [changelogs]}
install-langs: [de_DE.UTF-8]
remove-from-packages:
  - [udev, '/usr/lib/udev/hwdb\.d/20-(OUI|usb-.*)\.hwdb']
remove-files: [/usr/share/bash-completion]
boot: {dracut-modules: [rescue], dracut-omit: [nvdimm, lunmask]}
var: {rules: [{path: /var/lib/by-script, action: tmpfiles}]}
postprocess:
  - echo "PermitRootLogin no" > /etc/ssh/sshd_config.d/10-hard.conf
  - |
    if /usr/sbin/policy-rc.d; then exit 3; fi
    echo "$SOURCE_DATE_EPOCH $TZ $LC_ALL $(umask) $(id -u)" > /usr/share/seen
    tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' >> /usr/share/seen
    cat /etc/motd >> /usr/share/seen
    mkdir /var/lib/by-script
    systemctl -q enable console-getty.service
"""
BROKEN = """\
  - |
    echo began
    cat /there/is/no/such/file
    echo never
"""
#: Made by base-files' script: it is in no package.
GENERATED = ("usr/share/info/dir",)
DOCUMENTED = ("doc", "man", "info", "help", "lintian", "doc-base")


def found_below(root: Path, *places: str) -> Iterator[files.Entry]:
    """Files and links below directories of /usr/share."""
    for place in places:
        yield from (entry for entry in files.walk(root, f"usr/share/{place}") if not entry.is_dir)


@pytest.mark.timeout(3600)
def test_what_is_left_out_and_what_scripts_do(composer: Composer, tmp_path: Path, store_dir: Path) -> None:
    words = ("--target", tmp_path, "--until", "lint")
    composer.write(MANIFEST + CONTENT + BROKEN)
    refusal = composer.refuse("build", composer.manifest, *words)
    line = len((MANIFEST + CONTENT).splitlines()) + 1
    said = f"{composer.manifest}/compose.yaml:{line}: postprocess.2: script 3 failed with status 1:"
    assert said in refusal.output
    assert "began\n" in refusal.output
    assert "/there/is/no/such/file: No such file or directory" in refusal.output
    assert "never" not in refusal.output

    composer.write(MANIFEST + CONTENT)
    composer.call("build", composer.manifest, *words)
    made = read_results(list_composes(tmp_path)[-1].journal_path)["tree.server.amd64"]
    layer = Store.open(store_dir).find(f"tree-{made['id'][:24]}")
    assert layer is not None
    root = layer.root

    names = [entry.name for entry in found_below(root, *DOCUMENTED) if entry.name not in GENERATED]
    assert any(name.rpartition("/")[2].startswith("changelog") for name in names)
    stray = [n for n in names if not n.rpartition("/")[2].startswith(("copyright", "changelog", "NEWS"))]
    assert all((root / name).is_symlink() and inside(root, name).is_dir() for name in stray), stray
    for package in dpkg.load_installed(root):
        assert inside(root, f"usr/share/doc/{package.name}/copyright").is_file(), package.name
    dangling = [
        e.name for e in found_below(root, *DOCUMENTED, "locale") if e.is_link and not inside(root, e.name).exists()
    ]
    assert not dangling
    languages = {entry.name.split("/")[3] for entry in found_below(root, "locale")}
    assert languages - {"locale.alias"} == {"de"}
    assert not (root / "etc/dpkg/dpkg.cfg.d/99mmdebstrap").exists()

    assert not (root / "usr/lib/udev/hwdb.d/20-OUI.hwdb").exists()
    assert (root / "usr/lib/udev/hwdb.d/20-acpi-vendor.hwdb").exists()
    assert not (root / "usr/share/bash-completion").exists()
    assert (root / "etc/ssh/sshd_config.d/10-hard.conf").read_text() == "PermitRootLogin no\n"
    seen = (root / "usr/share/seen").read_text()
    assert seen == "1 UTC C.UTF-8 0022 0\nlo\nMade by a test.\n"
    assert not (root / "usr/sbin/policy-rc.d").exists()
    assert "d /var/lib/by-script 0755 root root -\n" in (root / "usr/lib/tmpfiles.d/00-image.conf").read_text()
    preset = (root / "usr/lib/systemd/system-preset/20-image.preset").read_text()
    assert "enable console-getty.service\n" in preset
    assert not [*root.glob("etc/systemd/system/*/console-getty.service")]

    listing = "usr/lib/dracut/modules.txt"
    image = root / "usr/lib/modules" / made["kver"] / "initramfs.img"
    modules = read_archive(image, keep=frozenset({listing}))[listing].decode().split()
    assert "rescue" in modules
    assert not {"nvdimm", "lunmask"} & {*modules}
    assert "ostree" in modules
