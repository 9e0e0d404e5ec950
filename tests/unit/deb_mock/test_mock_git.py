"""Layouts of git-buildpackage as data, signatures cut out of git's objects, repositories of this host."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from deb_mock.git.gbp import find_orig_trees, format_tag, parse_gbp_conf
from deb_mock.git.local import find_git_directories, write_repository_tar
from deb_mock.git.verify import split_signature
from debcore.errors import ConfigError


def test_the_keys_that_matter_are_read_and_nothing_is_interpolated() -> None:
    conf = parse_gbp_conf(
        "[DEFAULT]\npristine-tar = True\nupstream-tag = v%(version)s\ncompression = xz\n"
        "[buildpackage]\ndebian-branch = debian/sid\npostexport = rm -rf /\nexport-dir = %(HOME)s/x\n",
        where="f",
    )
    assert (conf.pristine_tar, conf.upstream_tag, conf.compression) == (True, "v%(version)s", "xz")
    assert (conf.debian_branch, conf.upstream_tree) == ("debian/sid", "TAG")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pristine-tar = True", "cannot be read"),
        ("[DEFAULT]\ndebian-branch = --upload-pack=evil\n", "no name of a branch"),
        ("[DEFAULT]\nupstream-tag = v;$(id)\n", "no name of a branch"),
        ("[DEFAULT]\ncompression = zip\n", "none of gzip"),
        ("#" * 70000, "larger"),
    ],
)
def test_a_bad_gbp_conf_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_gbp_conf(text, where="f")


@pytest.mark.parametrize(
    ("pattern", "version", "tag"),
    [
        ("upstream/%(version)s", "1.0~rc1", "upstream/1.0_rc1"),
        ("v%(version%.%_)s", "1.2.3", "v1_2_3"),
        ("%(version%~%-)s", "1.0~rc1", "1.0-rc1"),
        ("release", "1", "release"),
    ],
)
def test_tags_are_named_as_gbp_names_them(pattern: str, version: str, tag: str) -> None:
    assert format_tag(pattern, version) == tag


def test_upstreams_tree_is_looked_for_where_gbp_conf_says() -> None:
    assert find_orig_trees(parse_gbp_conf("", where="f"), "1.0")[0] == "refs/tags/upstream/1.0"
    branch = parse_gbp_conf("[DEFAULT]\nupstream-tree=BRANCH\nupstream-branch=up\n", where="f")
    assert find_orig_trees(branch, "1.0") == ("refs/heads/up",)
    fixed = parse_gbp_conf("[DEFAULT]\nupstream-tree=rel-%(version)s\n", where="f")
    assert find_orig_trees(fixed, "1.0") == ("rel-1.0",)


def test_what_was_signed_is_cut_out_of_a_commit_and_a_tag() -> None:
    head, message = b"tree 1\nauthor A\ncommitter A", b"\n\nmessage\n"
    signature = b"-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----"
    folded = signature.replace(b"\n", b"\n ")
    commit = head + b"\ngpgsig " + folded + b"\nencoding x" + message
    assert split_signature(commit, kind="commit") == (head + b"\nencoding x" + message, signature + b"\n")
    assert split_signature(head + message, kind="commit") == (head + message, b"")
    tag = b"object 1\ntag v1\n\ntext\n" + signature + b"\n"
    assert split_signature(tag, kind="tag") == (b"object 1\ntag v1\n\ntext\n", signature + b"\n")


def test_configuration_and_hooks_of_a_repository_stay_behind(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    for name in ("objects/ab", "refs/heads", "hooks", "info"):
        (git / name).mkdir(parents=True)
    for name in (
        "HEAD",
        "config",
        "index",
        "hooks/post-checkout",
        "info/attributes",
        "refs/heads/main",
        "objects/ab/c",
    ):
        (git / name).write_text("x")
    (git / "refs" / "heads" / "link").symlink_to("/etc/passwd")
    stream = io.BytesIO()
    write_repository_tar(tmp_path, "repository", stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        names = set(tar.getnames())
    assert names == {"repository/HEAD", "repository/refs/heads/main", "repository/objects/ab/c"}


def test_a_repository_that_borrows_objects_is_refused(tmp_path: Path) -> None:
    (tmp_path / "objects" / "info").mkdir(parents=True)
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "objects" / "info" / "alternates").write_text("/somewhere\n")
    with pytest.raises(ConfigError, match="borrows"):
        write_repository_tar(tmp_path, "repository", io.BytesIO())


def test_a_linked_working_tree_leads_to_its_repository(tmp_path: Path) -> None:
    own = tmp_path / "main" / ".git" / "worktrees" / "other"
    own.mkdir(parents=True)
    (tmp_path / "main" / ".git" / "objects").mkdir()
    (own / "HEAD").write_text("ref: refs/heads/x\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".git").write_text(f"gitdir: {own}\n")
    assert find_git_directories(tmp_path / "other") == (own, tmp_path / "main" / ".git")
    with pytest.raises(ConfigError, match="no git repository"):
        find_git_directories(tmp_path)
