"""Hostile trees through the real ostree and the import of bootc: image and commit are one tree, or both are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_bootc_compose.lints.check import check_root
from deb_bootc_compose.oci.image import ImageConfig, write_layout
from deb_bootc_compose.oci.replay import replay_import
from deb_bootc_compose.ostree import commit, fsck, init_repo
from deb_bootc_compose.tree.make import Tree
from deb_bootc_compose.tree.outside import run_tools
from debcore.errors import Failure
from debroot.sandbox import Bind
from debroot.store import Layer, Store

pytestmark = [pytest.mark.root, pytest.mark.slow]

#: What every tree has: mount points are real, a kernel makes it bootable.
COMMON = """set -eu; umask 022; cd /tree
mkdir -p etc usr/bin usr/lib/modules/6.1 usr/share var dev proc sys run tmp boot sysroot
ln -s sysroot/ostree ostree; ln -s usr/bin bin
echo k > usr/lib/modules/6.1/vmlinuz; echo i > usr/lib/modules/6.1/initramfs.img; echo etc > etc/file
find . -exec touch -h -d @0 {} +
"""
#: What is unusual, and all the same a tree.
ODD = {
    "controls": r"""printf x > "usr/share/$(printf 'new\nline')"; printf x > "usr/share/$(printf 'esc\033[2J')"
        printf x > "usr/share/tab	and  blanks "; printf x > 'usr/share/back\slash'; printf x > "usr/share/-rf"
        printf x > 'usr/share/"quotes'"'"; printf x > 'usr/share/*'; printf x > 'usr/share/a=b'; mkdir 'usr/share/~'""",
    "long": r"""d=usr/share; for i in $(seq 12); do d="$d/$(printf "%0240d" $i)"; done
        mkdir -p "$d"; printf x > "$d/end"
        ln -s "$(printf '%02000d' 1)" usr/share/far""",
    "links": """ln usr/lib/modules/6.1/vmlinuz usr/share/k2; ln -s a usr/share/b; ln -s b usr/share/a
        ln -s ../../../../../../etc/shadow usr/share/out; ln -s / usr/share/root; ln -s . usr/share/self
        printf x > usr/share/h; ln usr/share/h etc/h; ln usr/share/h usr/bin/h""",
    "modes": """for m in 4755 2755 6711 0000 1777; do printf x > usr/share/f$m; chmod $m usr/share/f$m
        mkdir usr/share/d$m; chmod $m usr/share/d$m; done; chown 12345:54321 usr/share/f0000; printf x > usr/bin/ping
        python3 -c 'import os; os.setxattr("usr/bin/ping", "security.capability",
        bytes.fromhex("0100000200200000000000000000000000000000"))'""",
    "empty": ": > usr/share/empty; mkdir -p usr/share/e/m/p/t/y; truncate -s 5000000 usr/share/hole",
}
#: What nobody can hold, and what says so.
HOPELESS = {
    "fifo": ("mkfifo usr/share/pipe", "fifo", "fifo|file type|regular"),
    "socket": (
        """python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("usr/share/socket")'""",
        "socket", "type|socket",
    ),
    "bytes": (r"""printf x > "usr/share/$(printf '\377\376')" """, "UTF-8", "UTF-8"),
    "target": (r"""ln -s "$(printf '\377')" usr/share/l""", "UTF-8", None),  # a commit can
}  # fmt: skip


def make(store: Store, tools: Layer, root: Path, script: str) -> Tree:
    bind = Bind(source=root, target="/tree", readonly=False)
    run_tools(store, tools, ["sh", "-c", f"{COMMON}\n{script}\nfind . -exec touch -h -d @0 {{}} +"], binds=[bind])
    return Tree("0" * 64, Layer("hostile", root.parent, (), (), "amd64", "trixie"), "6.1", (), "")


@pytest.mark.parametrize("what", ODD)
def test_what_is_odd_is_the_same_in_image_and_commit(store: Store, tools: Layer, tmp_path: Path, what: str) -> None:
    with store.workplace("root", "parent") as place:
        tree = make(store, tools, place / "root", ODD[what])
        assert all(finding.message.isprintable() for finding in check_root(store, tools, tree.root, None))
        repository = init_repo(store, place / "repo", suite="trixie", tools=tools)
        made = commit(repository, tree, ref="a/b", version="1", timestamp=0)
        fsck(repository)
        image = write_layout(store, tree, tmp_path / "oci", ImageConfig(version="1", timestamp=0), tools=tools)
        again = write_layout(store, tree, tmp_path / "again", ImageConfig(version="1", timestamp=0), tools=tools)
        assert again.digest == image.digest
        found = replay_import(repository, tmp_path / "oci", made.checksum)
        assert found.equal, found.differences


@pytest.mark.parametrize("what", HOPELESS)
def test_what_nobody_can_hold_is_named(store: Store, tools: Layer, tmp_path: Path, what: str) -> None:
    script, word, theirs = HOPELESS[what]
    with store.workplace("root") as place:
        tree = make(store, tools, place / "root", script)
        messages = [finding.message for finding in check_root(store, tools, tree.root, None)]
        assert any(word in message for message in messages)
        assert all(message.isprintable() for message in messages)
        repository = init_repo(store, place / "repo", suite="trixie", tools=tools)
        if theirs is not None:
            with pytest.raises(Failure, match=f"(?i){theirs}") as caught:
                commit(repository, tree, ref="a/b", version="1", timestamp=0)
            assert "Traceback" not in str(caught.value)
        with pytest.raises(Failure, match=word):
            write_layout(store, tree, tmp_path / "oci", ImageConfig(version="1", timestamp=0), tools=tools)
        assert not (tmp_path / "oci").exists()


@pytest.mark.parametrize("script", ["printf x > usr/share/über", "ln -s über usr/share/l", "mkdir usr/share/日本"])
def test_what_the_importer_refuses_is_named_before(store: Store, tools: Layer, tmp_path: Path, script: str) -> None:
    """bootc imports in the C locale: no name, and no target, that is not ASCII."""
    with store.workplace("root") as place:
        tree = make(store, tools, place / "root", script)
        assert "file-names-ascii" in {finding.lint for finding in check_root(store, tools, tree.root, None)}
        repository = init_repo(store, place / "repo", suite="trixie", tools=tools)
        made = commit(repository, tree, ref="a/b", version="1", timestamp=0)
        write_layout(store, tree, tmp_path / "oci", ImageConfig(version="1", timestamp=0), tools=tools)
        with pytest.raises(Failure, match="cannot be imported") as caught:
            replay_import(repository, tmp_path / "oci", made.checksum)
        assert caught.value.hint == "bootc would refuse the image"
