"""Values of a tree: options as JSON, systemd's line formats, the id ledger, what dpkg says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from deb_bootc_compose.tree import dpkg, ids
from deb_bootc_compose.tree.make import parse_features
from deb_bootc_compose.tree.spec import (
    AddFile,
    FinishOptions,
    Layout,
    Units,
    VarRule,
    options_from_json,
    options_to_json,
)
from deb_bootc_compose.tree.systemdconf import load_tmpfiles, parse_sysusers, parse_tmpfiles, split_words
from debcore.command import run
from debcore.errors import ConfigError, Failure


def test_what_runs_in_the_sandbox_needs_the_standard_library_only() -> None:
    source = Path(dpkg.__file__).resolve().parents[2]
    modules = ("tree.finish", "tree.inside", "lints.registry", "oci.writer", "oci.importer")
    names = ", ".join(f"deb_bootc_compose.{name}" for name in modules)
    run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(source)!r}); import {names}"])


def test_options_survive_the_way_into_the_sandbox() -> None:
    options = FinishOptions(
        add_files=(AddFile(path="/etc/a", content=b"\xff\0"), AddFile(path="/etc/b", target="a")),
        units=Units(enable=("a.service",), mask=("b.service",)),
        layout=Layout(opt="image"),
        var_rules=(VarRule(path="/var/lib/x", action="discard"),),
        os_release=(("A", "b"),),
        kernel_arguments=("quiet",),
        ids="g a 100\n",
        dracut_modules=("crypt",),
        dracut_omit=("lvm",),
        dpkg_options=("path-exclude=/x",),
        remove_from_packages=(("udev", "/a", "/b"),),
        remove_files=("/usr/share/info",),
        postprocess=("echo a",),
    )
    assert options_from_json(json.loads(json.dumps(options_to_json(options)))) == options


@pytest.mark.parametrize("path", ["etc/motd", "/", "/etc/../x", "/etc//x", "/run/x", "/boot/x", "/dev/null"])
def test_a_file_can_only_go_into_the_image(path: str) -> None:
    with pytest.raises(ConfigError):
        AddFile(path=path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("d /a 0755", ["d", "/a", "0755"]),
        ('u x 1 "A B" /', ["u", "x", "1", "A B", "/"]),
        (r"d /a\x20b\040c", ["d", "/a b c"]),
        ("f '' \"\"", ["f", "", ""]),
        (r"L a\"b", ["L", 'a"b']),
        ("", []),
    ],
)
def test_words_are_split_as_systemd_does(line: str, words: list[str]) -> None:
    assert split_words(line) == words


def test_a_quote_that_is_not_closed_is_an_error() -> None:
    with pytest.raises(ValueError, match="not closed"):
        split_words('d "/a')


def test_lines_of_tmpfiles_keep_their_argument() -> None:
    lines = parse_tmpfiles("# c\n\nL /a - - - - ../b c\nd\nd /x\n", file="f")
    assert [(x.kind, x.path, x.argument) for x in lines] == [("L", "/a", "../b c"), ("d", "/x", "-")]


def test_a_line_that_is_none_of_sysusers_is_an_error() -> None:
    with pytest.raises(ValueError, match="no line of sysusers"):
        parse_sysusers("user x 1\n", file="f")


def test_etc_hides_files_of_usr(tmp_path: Path) -> None:
    for name, text in (("usr/lib/tmpfiles.d/a.conf", "d /a\n"), ("usr/lib/tmpfiles.d/b.conf", "d /b\n")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "etc/tmpfiles.d").mkdir(parents=True)
    (tmp_path / "etc/tmpfiles.d/a.conf").symlink_to("/dev/null")
    assert [line.path for line in load_tmpfiles(tmp_path)] == ["/b"]


LEDGER = 'g shadow 42\ng _ssh 101\nu sshd 991:65534 "sshd user" /run/sshd /usr/sbin/nologin\n'


def test_a_ledger_reads_what_it_writes() -> None:
    assert ids.parse_ledger(LEDGER).dump() == LEDGER


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("g a -\n", "pins nothing"),
        ("g a 1\ng a 2\n", "group a stands there twice"),
        ("g a 1\ng b 1\n", "gid 1 stands there twice"),
        ("u a 1\nu b 1\n", "uid 1 stands there twice"),
        ("what\n", "no line of sysusers"),
    ],
)
def test_a_bad_ledger_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ids.parse_ledger(text)


def make_databases(tree: Path) -> None:
    (tree / "etc").mkdir()
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tree / "etc/group").write_text("root:x:0:\nshadow:x:42:")
    (tree / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    (tree / "etc/gshadow").write_text("root:*::\nshadow:*::\n")


def test_the_ledger_is_pinned_before_packages_install(tmp_path: Path) -> None:
    make_databases(tmp_path)
    ids.apply_ledger(tmp_path, ids.parse_ledger(LEDGER))
    assert "sshd:x:991:65534:sshd user:/run/sshd:/usr/sbin/nologin\n" in (tmp_path / "etc/passwd").read_text()
    assert (tmp_path / "etc/group").read_text() == "root:x:0:\nshadow:x:42:\n_ssh:x:101:\n"
    assert "sshd:!*:" in (tmp_path / "etc/shadow").read_text()
    assert "_ssh:!*::" in (tmp_path / "etc/gshadow").read_text()


def test_pins_wait_in_passwd_where_there_are_no_shadow_files_yet(tmp_path: Path) -> None:
    make_databases(tmp_path)
    for name in ("shadow", "gshadow"):
        (tmp_path / "etc" / name).unlink()
    ids.apply_ledger(tmp_path, ids.parse_ledger(LEDGER))
    assert "sshd:!*:991:65534:" in (tmp_path / "etc/passwd").read_text()
    assert "_ssh:!*:101:\n" in (tmp_path / "etc/group").read_text()
    assert not (tmp_path / "etc/shadow").exists()


@pytest.mark.parametrize("ledger", ["g shadow 43\n", "g other 42\n", "u root 7\n", "u toor 0\n"])
def test_drift_against_the_ledger_is_an_error(ledger: str, tmp_path: Path) -> None:
    make_databases(tmp_path)
    with pytest.raises(Failure, match="moved against the id ledger"):
        ids.apply_ledger(tmp_path, ids.parse_ledger(ledger))


STATUS = """Package: b
Status: install ok installed
Architecture: amd64
Source: src (2.0-1)
Version: 2.0-1+b1
Description: x
 more

Package: a
Status: install ok installed
Architecture: all
Version: 1

Package: gone
Status: deinstall ok not-installed
"""


def test_packages_know_their_source() -> None:
    b = dpkg.Installed("b", "2.0-1+b1", "amd64", "src", "2.0-1", "install ok installed")
    assert dpkg.parse_status(STATUS)[1] == b
    assert [p.name for p in dpkg.parse_status(STATUS)] == ["a", "b"]


def test_owners_follow_the_merged_usr_and_diversions(tmp_path: Path) -> None:
    info = tmp_path / "usr/lib/sysimage/dpkg/info"
    info.mkdir(parents=True)
    (info.parent / "status").write_text(STATUS)
    (info.parent / "diversions").write_text("/usr/bin/tool\n/usr/bin/tool.real\na\n")
    (info / "a.list").write_text("/.\n/bin\n/bin/sh\n/usr/bin/tool\n")
    (info / "b:amd64.list").write_text("/lib/x.so\n/usr/bin/tool\n")
    for name in ("bin", "lib"):
        (tmp_path / name).symlink_to(f"usr/{name}")
    owners = dpkg.load_owners(tmp_path)
    assert owners["usr/bin/sh"] == "a"
    assert owners["usr/lib/x.so"] == "src"
    assert owners["usr/bin/tool"] == "a"
    assert owners["usr/bin/tool.real"] == "src"


def test_features_of_ostree_are_read() -> None:
    text = "libostree:\n Version: '2025.2'\n Git: x\n Features:\n  - inode64\n  - libcurl\n"
    assert parse_features(text) == ("inode64", "libcurl")
    assert parse_features("nothing") == ()
