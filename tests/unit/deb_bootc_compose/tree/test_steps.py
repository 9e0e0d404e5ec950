"""Finishing steps on small trees; tests/integration/tree runs them on a real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deb_bootc_compose.lints import prepare_root as lint_prepare_root
from deb_bootc_compose.lints.model import Root
from deb_bootc_compose.tree import finish, var
from deb_bootc_compose.tree.ids import Ledger
from deb_bootc_compose.tree.spec import AddFile, FinishOptions, State, Units, VarRule, options_to_json
from deb_bootc_compose.tree.steps import (
    add_files,
    bytecode,
    certificates,
    identity,
    initramfs,
    kernel,
    layout,
    normalise,
    postprocess,
    prepare_root,
    remove,
    state,
    units,
    users,
)
from deb_bootc_compose.tree.steps.registry import STEPS
from debcore.command import run
from debcore.errors import Failure

NOTHING = FinishOptions()


def put(tree: Path, name: str, text: str = "") -> Path:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def put_names(tree: Path) -> None:
    """The tests' own ids have names."""
    put(tree, "etc/passwd", f"me:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n")
    put(tree, "etc/group", f"me:x:{os.getgid()}:\n")


def test_every_step_says_which_items_of_the_contract_it_fulfils() -> None:
    modules = (
        certificates,
        identity,
        initramfs,
        kernel,
        layout,
        normalise,
        prepare_root,
        state,
        units,
        users,
        bytecode,
    )
    assert len({step.name for step in STEPS}) == len(STEPS)
    for module in modules:
        assert "(" in (module.__doc__ or "").split("\n\n")[0], module.__name__


def test_files_and_links_replace_what_was_there(tmp_path: Path) -> None:
    put(tmp_path, "etc/motd", "old")
    put(tmp_path, "usr/lib/os-release", "ID=debian\nVARIANT_ID=x\n")
    files = (AddFile(path="/etc/motd", target="other"), AddFile(path="/etc/a/b", content=b"new", mode=0o600))
    add_files.run(tmp_path, FinishOptions(add_files=files, os_release=(("VARIANT_ID", "server"),)), State())
    assert str((tmp_path / "etc/motd").readlink()) == "other"
    assert (tmp_path / "etc/a/b").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "usr/lib/os-release").read_text() == 'ID=debian\nVARIANT_ID="server"\n'


def test_a_link_in_the_tree_never_leads_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    tree = tmp_path / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "etc").symlink_to(tmp_path / "outside")
    add_files.run(tree, FinishOptions(add_files=(AddFile(path="/etc/motd", content=b"x"),)), State())
    assert not (tmp_path / "outside/motd").exists()


def test_the_kernel_moves_below_usr_and_its_links_go(tmp_path: Path) -> None:
    put(tmp_path, "boot/vmlinuz-6.12.1-amd64", "kernel")
    put(tmp_path, "boot/config-6.12.1-amd64", "CONFIG=y")
    put(tmp_path, "usr/lib/modules/6.12.1-amd64/modules.dep")
    (tmp_path / "vmlinuz").symlink_to("boot/vmlinuz-6.12.1-amd64")
    now = State()
    kernel.run(tmp_path, NOTHING, now)
    assert now.kver == "6.12.1-amd64"
    assert (tmp_path / "usr/lib/modules/6.12.1-amd64/vmlinuz").read_text() == "kernel"
    assert (tmp_path / "usr/lib/modules/6.12.1-amd64/config").exists()
    assert not (tmp_path / "vmlinuz").is_symlink()
    kernel.run(tmp_path, NOTHING, now)  # later releases ship both already


def test_no_kernel_and_two_kernels_are_errors(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no kernel"):
        kernel.find_version(tmp_path)
    for version in ("1", "2"):
        put(tmp_path, f"usr/lib/modules/{version}/vmlinuz")
    with pytest.raises(Failure, match="more than one kernel"):
        kernel.find_version(tmp_path)


@pytest.mark.parametrize(("features", "enabled"), [(("libcurl",), "maybe"), (("libcurl", "composefs"), "yes")])
def test_composefs_is_asked_for_only_where_it_exists(features: tuple[str, ...], enabled: str, tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/ostree/ostree-prepare-root")
    put(tmp_path, "etc/ostree/prepare-root.conf", "[composefs]\nenabled=yes\n")
    prepare_root.run(tmp_path, NOTHING, State(ostree_features=features))
    assert f"enabled = {enabled}\n" in (tmp_path / prepare_root.CONF).read_text()
    assert not (tmp_path / "etc/ostree/prepare-root.conf").exists()


def test_a_prepare_root_of_the_manifest_is_kept_for_the_lint_to_judge(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/ostree/ostree-prepare-root")
    own = "[composefs]\nenabled = yes\n\n[sysroot]\nreadonly = true\n"
    options = FinishOptions(add_files=(AddFile(path=f"/{prepare_root.CONF}", content=own.encode()),))
    add_files.run(tmp_path, options, State())
    prepare_root.run(tmp_path, options, State(ostree_features=("libcurl",)))
    assert (tmp_path / prepare_root.CONF).read_text() == own
    (said,) = lint_prepare_root.check(Root(tmp_path, ostree_features=("libcurl",)))
    assert "it would not boot" in said


def test_what_belongs_to_one_machine_goes_and_the_manifests_files_stay(tmp_path: Path) -> None:
    for name in ("etc/ssh/ssh_host_rsa_key", "etc/hostname", "etc/fstab", "etc/passwd-", "etc/resolv.conf"):
        put(tmp_path, name, "x")
    put(tmp_path, "usr/lib/systemd/system/systemd-firstboot.service", "ExecStart=x --prompt-timezone")
    identity.run(tmp_path, FinishOptions(add_files=(AddFile(path="/etc/fstab", content=b"x"),)), State())
    assert sorted(p.name for p in (tmp_path / "etc").iterdir()) == [
        "fstab", "hosts", "locale.conf", "localtime", "machine-id", "ssh",
    ]  # fmt: skip
    assert (tmp_path / "etc/machine-id").read_text() == "uninitialized\n"
    assert "ExecStart=\n" in (tmp_path / identity.NEVER_PROMPT).read_text()
    identity.run(tmp_path, FinishOptions(first_boot=False), State())
    assert (tmp_path / "etc/machine-id").read_text() == ""


def test_certificates_outside_ascii_go_with_all_their_links(tmp_path: Path) -> None:
    name = "NetLock_Főtanúsítvány"
    put(tmp_path, f"usr/share/ca-certificates/mozilla/{name}.crt")
    put(tmp_path, "usr/share/ca-certificates/mozilla/Other.crt")
    put(tmp_path, "etc/ca-certificates.conf", f"mozilla/{name}.crt\nmozilla/Other.crt\n")
    certs = tmp_path / "etc/ssl/certs"
    certs.mkdir(parents=True)
    (certs / f"{name}.pem").symlink_to(f"/usr/share/ca-certificates/mozilla/{name}.crt")
    (certs / "988a38cb.0").symlink_to(f"{name}.pem")
    (certs / "Other.pem").symlink_to("/usr/share/ca-certificates/mozilla/Other.crt")
    certificates.run(tmp_path, NOTHING, State())
    assert [p.name for p in certs.iterdir()] == ["Other.pem"]
    assert (tmp_path / "etc/ca-certificates.conf").read_text() == "mozilla/Other.crt\n"


def test_links_of_units_become_presets(tmp_path: Path) -> None:
    for name in ("ssh.service", "apt-daily.timer", "unwanted.service", "getty@.service", "mine.service"):
        put(tmp_path, f"usr/lib/systemd/system/{name}")
    system = tmp_path / "etc/systemd/system"
    links = {
        "multi-user.target.wants/ssh.service": "ssh.service",
        "timers.target.wants/apt-daily.timer": "apt-daily.timer",
    }
    links |= {"sshd.service": "ssh.service", "multi-user.target.wants/unwanted.service": "unwanted.service"}
    links |= {"getty.target.wants/getty@tty1.service": "getty@.service"}
    for name, target in links.items():
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).symlink_to(f"/usr/lib/systemd/system/{target}")
    user = tmp_path / "etc/systemd/user/sockets.target.wants"
    user.mkdir(parents=True)
    (user / "gpg-agent.socket").symlink_to("/usr/lib/systemd/user/gpg-agent.socket")
    now = State()
    chosen = Units(enable=("mine.service",), disable=("unwanted.service",))
    units.run(tmp_path, FinishOptions(units=chosen), now)
    assert now.enabled == ("getty@.service", "mine.service", "ssh.service")
    assert (tmp_path / units.PRESET).read_text().endswith("disable *\n")
    assert [p.name for p in system.iterdir()] == ["apt-daily.timer"]
    assert str((system / "apt-daily.timer").readlink()) == "/dev/null"
    moved = tmp_path / "usr/lib/systemd/user/sockets.target.wants/gpg-agent.socket"
    assert str(moved.readlink()) == "../gpg-agent.socket"
    assert not user.exists()


def test_new_names_fail_against_a_strict_ledger(tmp_path: Path) -> None:
    put(tmp_path, "etc/passwd", "root:x:0:0::/root:/bin/sh\nnew:x:990:990::/:/bin/sh\n")
    put(tmp_path, "etc/group", "root:x:0:\nnew:x:990:\n")
    put(tmp_path, "etc/shadow", "new:!:20000:0:99999:7:::\nroot:*:20000:0:99999:7:::\n")
    put(tmp_path, "usr/lib/sysusers.d/basic.conf", "u root 0 - /root\nu! new - - /\n")
    with pytest.raises(Failure, match="does not pin: new"):
        users.run(tmp_path, FinishOptions(ids="u root 0\ng root 0\n", ids_strict=True), State())
    now = State()
    users.run(tmp_path, NOTHING, now)
    pins = (tmp_path / users.PINS).read_text()
    assert "g new 990\n" in pins
    assert "u new 990:990" in pins
    assert "root" not in pins
    assert (tmp_path / "etc/shadow").read_text() == "root:*::0:99999:7:::\nnew:!*::::::1:\n"
    assert Ledger().dump() == ""


def test_the_top_gets_relative_links_and_empty_mount_points(tmp_path: Path) -> None:
    put_names(tmp_path)
    for name in ("home", "srv", "mnt", "media", "opt", "dev", "proc", "usr/local/lib"):
        (tmp_path / name).mkdir(parents=True)
    put(tmp_path, "root/.bashrc", "alias")
    put(tmp_path, "run/leftover")
    put(tmp_path, "boot/grub/x")
    now = State()
    layout.run(tmp_path, NOTHING, now)
    targets = {
        name: str((tmp_path / name).readlink()) for name in ("home", "root", "media", "opt", "ostree", "usr/local")
    }
    assert targets == {
        "home": "var/home", "root": "var/roothome", "media": "run/media", "opt": "var/opt", "ostree": "sysroot/ostree",
        "usr/local": "../var/usrlocal",
    }  # fmt: skip
    assert not any(list((tmp_path / name).iterdir()) for name in ("run", "boot", "dev", "sysroot"))
    assert (tmp_path / "usr/share/factory/var/roothome/.bashrc").read_text() == "alias"
    assert any(line.startswith("C /var/roothome/.bashrc 0644 me me") for line in now.tmpfiles)
    assert any(line.startswith("d /var/usrlocal/lib 0755 me me") for line in now.tmpfiles)
    assert "d /var/roothome 0700 root root -" in now.tmpfiles


@pytest.mark.parametrize("name", ["srv/data", "opt/app/x", "usr/local/bin/tool"])
def test_content_that_no_update_could_change_is_an_error(name: str, tmp_path: Path) -> None:
    put_names(tmp_path)
    put(tmp_path, name)
    with pytest.raises(Failure, match="the tree has"):
        layout.run(tmp_path, NOTHING, State())


def classify(*paths: tuple[str, bool], rules: tuple[VarRule, ...] = ()) -> dict[str, str]:
    made = var.classify(
        paths,
        rules=(*rules, *var.BUILT_IN),
        declared=frozenset({"/var/lib/declared"}),
        owned=frozenset({"/var/lib/owned", "/var/lib/owned/file"}),
    )
    return {v.path: v.action for v in made}


def test_paths_below_var_are_classified() -> None:
    mine = (VarRule(path="/var/lib/mine*", action="discard"),)
    assert classify(
        ("/var/lib/dpkg/info/x.list", True), ("/var/lib/declared", False), ("/var/lib/owned", False),
        ("/var/lib/owned/file", True), ("/var/lib/what", False), ("/var/log/dpkg.log", True), ("/var/lib/mine", True),
        rules=mine,
    ) == {
        "/var/lib/dpkg/info/x.list": "image", "/var/lib/declared": "declared", "/var/lib/owned": "tmpfiles",
        "/var/lib/owned/file": "unknown", "/var/lib/what": "unknown", "/var/log/dpkg.log": "discard",
        "/var/lib/mine": "discard",
    }  # fmt: skip


def test_unknown_paths_and_stale_rules_are_errors() -> None:
    with pytest.raises(Failure, match="/var/lib/what"):
        var.check_known([var.Verdict("/var/lib/what", "unknown")])
    with pytest.raises(Failure, match="without any path: /var/lib/x"):
        var.check_stale([VarRule(path="/var/lib/x", action="discard")], [])


def make_state_tree(tree: Path) -> None:
    put_names(tree)
    put(tree, "var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n")
    put(tree, "var/lib/dpkg/lock")
    put(tree, "var/log/dpkg.log", "x")
    (tree / "var/tmp").mkdir()
    put(tree, "usr/lib/tmpfiles.d/var.conf", "d /var/lib\nd /var/log\nd /var/tmp\n")


def test_package_state_moves_below_usr(tmp_path: Path) -> None:
    make_state_tree(tmp_path)
    state.run(tmp_path, NOTHING, State())
    assert str((tmp_path / "var/lib/dpkg").readlink()) == "../../usr/lib/sysimage/dpkg"
    assert (tmp_path / "var/lib/dpkg/status").exists()
    assert not (tmp_path / "usr/lib/sysimage/dpkg/lock").exists()
    assert not (tmp_path / "var/log/dpkg.log").exists()
    lines = (tmp_path / state.OURS).read_text()
    assert "L /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg\n" in lines


def test_what_is_unknown_fails_or_is_declared_on_request(tmp_path: Path) -> None:
    make_state_tree(tmp_path)
    put(tmp_path, "var/lib/app/state file", "content")
    with pytest.raises(Failure, match="/var/lib/app"):
        state.run(tmp_path, NOTHING, State())
    state.run(tmp_path, FinishOptions(var_fix=True), State())
    assert (
        "C /var/lib/app/state\\x20file 0644 me me - /usr/share/factory/var/lib/app/state\\x20file"
        in (tmp_path / state.OURS).read_text()
    )
    assert (tmp_path / "usr/share/factory/var/lib/app/state file").read_text() == "content"


def test_times_are_zero_and_the_status_is_sorted(tmp_path: Path) -> None:
    status = put(tmp_path, "usr/lib/sysimage/dpkg/status", "Package: b\nVersion: 1\n\nPackage: a\nVersion: 1\n\n")
    put(tmp_path, "usr/lib/sysimage/dpkg/triggers/File", "b\na\n")
    normalise.run(tmp_path, NOTHING, State())
    assert status.read_text() == "Package: a\nVersion: 1\n\nPackage: b\nVersion: 1\n\n"
    assert {p.lstat().st_mtime for p in [tmp_path, *tmp_path.rglob("*")]} == {0}


def test_a_fifo_in_the_tree_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Failure, match="/pipe"):
        normalise.run(tmp_path, NOTHING, State())


def test_attributes_that_no_image_carries_go(tmp_path: Path) -> None:
    file = put(tmp_path, "usr/share/a")
    os.setxattr(file, "user.origin", b"somewhere")
    normalise.run(tmp_path, NOTHING, State())
    assert not os.listxattr(file)


def test_a_name_that_is_no_text_gets_no_line_of_tmpfiles(tmp_path: Path) -> None:
    name = os.fsdecode(b"/var/lib/\xff")
    with pytest.raises(Failure, match=r"/var/lib/\\xff: not UTF-8"):
        var.tmpfiles_line(put(tmp_path, name.lstrip("/")).parents[2], name, var.Names(tmp_path))


def test_byte_code_is_listed_by_source_and_dropped(tmp_path: Path) -> None:
    source = put(tmp_path, "usr/lib/python3/a.py")
    put(tmp_path, "usr/lib/python3/__pycache__/a.cpython-313.pyc")
    put(tmp_path, "usr/lib/python3/__pycache__/gone.cpython-313.pyc")
    put(tmp_path, "usr/bin/python3")
    now = State()
    bytecode.run(tmp_path, NOTHING, now)
    assert now.bytecode == ("/usr/lib/python3/a.py",)
    assert source.stat().st_mtime == 0
    assert not list(tmp_path.rglob("*.pyc"))
    assert bytecode.commands(NOTHING, now)
    assert bytecode.stdin(now) == b"/usr/lib/python3/a.py"


def test_dracut_makes_the_same_image_for_every_machine(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no dracut"):
        initramfs.run(tmp_path, NOTHING, State())
    put(tmp_path, "usr/bin/dracut")
    initramfs.run(tmp_path, FinishOptions(dracut_modules=("crypt",)), State(kver="1"))
    conf = (tmp_path / initramfs.CONF).read_text()
    assert "omit" not in conf
    initramfs.run(tmp_path, FinishOptions(dracut_omit=("lvm", "nfs")), State(kver="1"))
    assert 'omit_dracutmodules+=" lvm nfs "\n' in (tmp_path / initramfs.CONF).read_text()
    assert 'hostonly="no"\n' in conf
    assert 'reproducible="yes"\n' in conf
    assert 'add_dracutmodules+=" ostree systemd crypt "\n' in conf
    assert initramfs.commands(NOTHING, State(kver="1"))[0][-1] == "/usr/lib/modules/1/initramfs.img"


def put_package(tree: Path, name: str, *paths: str) -> None:
    """A package as dpkg knows it, with its files; a path that ends with a slash is a directory."""
    status = tree / "var/lib/dpkg/status"
    known = status.read_text() if status.exists() else ""
    put(tree, "var/lib/dpkg/status", f"{known}Package: {name}\nStatus: install ok installed\nVersion: 1\n\n")
    put(tree, f"var/lib/dpkg/info/{name}.list", "".join(f"{path.rstrip('/')}\n" for path in ("/.", *paths)))
    for path in paths:
        if path.endswith("/"):
            (tree / path.strip("/")).mkdir(parents=True, exist_ok=True)
        else:
            put(tree, path.lstrip("/"), name)


def remove_with(tree: Path, *, files: tuple[str, ...] = (), rules: tuple[tuple[str, ...], ...] = ()) -> None:
    remove.run(tree, FinishOptions(remove_files=files, remove_from_packages=rules), State())


def test_files_of_a_package_go_and_those_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    put_package(tmp_path, "udev", "/lib/udev/", "/lib/udev/hwdb.d/", "/lib/udev/hwdb.d/a.hwdb", "/lib/udev/rules")
    put_package(tmp_path, "other", "/usr/lib/udev/hwdb.d/b.hwdb")
    remove_with(tmp_path, rules=(("udev", r"/usr/lib/udev/hwdb\.d(/.*)?"),))
    left = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "usr/lib/udev").rglob("*"))
    assert left == ["usr/lib/udev/hwdb.d", "usr/lib/udev/hwdb.d/b.hwdb", "usr/lib/udev/rules"]
    remove_with(tmp_path, rules=(("other", "/usr/lib/udev/hwdb.d/b.hwdb"), ("udev", "/usr/lib/udev/hwdb.d")))
    assert not (tmp_path / "usr/lib/udev/hwdb.d").exists(), "a directory that has nothing left"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (("udev", "/usr/lib/.*", "/usr/bin/none"), r"remove-from-packages\.0: no file of udev matches '/usr/bin/none'"),
        (("udev", "/usr/lib"), "no file of udev"),
        (("udev", "/usr/share/left-out"), "no file of udev"),
        (("gone", ".*"), r"remove-from-packages\.0: the tree has no package gone"),
        (("udev", ".*"), "matches /var/lib/udev, which is state"),
    ],
)
def test_a_rule_that_can_mean_nothing_fails(rule: tuple[str, ...], message: str, tmp_path: Path) -> None:
    put_package(tmp_path, "udev", "/usr/lib/udev/a", "/var/lib/udev", "/usr/share/left-out")
    (tmp_path / "usr/share/left-out").unlink()
    with pytest.raises(Failure, match=message):
        remove_with(tmp_path, rules=(rule,))


def test_paths_go_with_what_is_in_them_and_never_outside(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", put(tmp_path, "outside/kept")
    put(tree, "usr/share/info/a/b")
    put(tree, "etc/motd")
    (tree / "etc/link").symlink_to("motd")
    (tree / "usr/out").symlink_to("../../outside")
    remove_with(tree, files=("/usr/share/info", "/etc/link"))
    assert not (tree / "usr/share/info").exists()
    assert not (tree / "etc/link").is_symlink()
    assert (tree / "etc/motd").exists()
    with pytest.raises(Failure, match=r"remove-files\.1: the tree has no /usr/share/info"):
        remove_with(tree, files=("/etc/motd", "/usr/share/info"))
    with pytest.raises(Failure, match="the tree has no /usr/out/kept"):
        remove_with(tree, files=("/usr/out/kept",))
    assert outside.exists()


def test_links_to_documentation_that_was_left_out_go(tmp_path: Path) -> None:
    put(tmp_path, "usr/share/doc/a/copyright")
    for name, target in (
        ("doc/b", "a"),
        ("doc/c", "gone"),
        ("man/man1/x.1.gz", "y.1.gz"),
        ("doc/d", "/usr/share/doc/a"),
    ):
        (tmp_path / "usr/share" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "usr/share" / name).symlink_to(target)
    remove.run(tmp_path, NOTHING, State())
    assert (tmp_path / "usr/share/doc/c").is_symlink(), "nothing was left out: a package's link is its own matter"
    remove.run(tmp_path, FinishOptions(dpkg_options=("path-exclude=/usr/share/doc/*",)), State())
    assert sorted(path.name for path in (tmp_path / "usr/share").rglob("*") if path.is_symlink()) == ["b", "d"]


def test_scripts_run_after_files_are_added_and_start_no_service(tmp_path: Path) -> None:
    names = [step.name for step in STEPS]
    assert names.index("remove") < names.index("add-files") < names.index("postprocess") < names.index("var-audit")
    assert names.index("var-audit") < names.index("identity")
    assert names.index("postprocess") < names.index("initramfs")
    (step,) = (step for step in STEPS if step.name == "postprocess")
    assert not step.is_wanted(NOTHING)
    step.run(tmp_path, NOTHING, State())
    assert not (tmp_path / postprocess.POLICY).exists()
    options = FinishOptions(postprocess=("echo a; umask", 'echo "$0"; false; echo never'))
    assert step.is_wanted(options)
    step.run(tmp_path, options, State())
    assert (tmp_path / postprocess.POLICY).stat().st_mode & 0o777 == 0o755
    first, second = postprocess.commands(options, State())
    assert run(first).text == "a\n0022\n"
    done = run(second, check=False)
    assert (done.status, done.text) == (1, "postprocess\n")
    assert step.called is not None
    assert step.called(1) == "postprocess.1: script 2"
    put(tmp_path, postprocess.POLICY, "#!/bin/sh\nexit 0\n")
    step.run(tmp_path, options, State())
    assert (tmp_path / postprocess.POLICY).read_text() == "#!/bin/sh\nexit 0\n", "the image's own"


def test_a_rule_for_what_a_script_makes_is_not_taken_for_a_stale_one(tmp_path: Path) -> None:
    make_state_tree(tmp_path)
    rules = (VarRule(path="/var/lib/by-script", action="tmpfiles"),)
    for scripts, stale in (((), ["/var/lib/by-script"]), (("mkdir /var/lib/by-script",), [])):
        options = FinishOptions(var_rules=rules, postprocess=scripts)
        assert finish.audit(options=options_to_json(options), tree=str(tmp_path))["stale"] == stale
