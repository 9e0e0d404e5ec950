"""Failures of packaging: dpkg-source, debhelper and dpkg's other tools, and input that is refused."""

from __future__ import annotations

from pathlib import Path

from debcore.job import Status
from tests.failures.case import Case
from tests.failures.package import DATE, DH_RULES, Package, make_plain, plain_rules, write_dsc, write_quilt

C_MAIN = "int main(void)\n{\n    return 0;\n}\n"
QUILT_CHANGELOG = f"broken (1.0-1) trixie; urgency=medium\n\n  * First.\n\n -- A Tester <t@example.org>  {DATE}\n"
QUILT = Package(format="3.0 (quilt)", changelog=QUILT_CHANGELOG, files={"main.c": C_MAIN})
PATCH = "--- a/main.c\n+++ b/main.c\n@@ -1,4 +1,4 @@\n int start(void)\n {\n-    return 7;\n+    return 8;\n }\n"


def _patch(directory: Path) -> Path:
    return write_dsc(directory, *write_quilt(directory, QUILT, orig={"main.c": C_MAIN}, patch=PATCH))


def _checksum(directory: Path) -> Path:
    return write_dsc(directory, *write_quilt(directory, QUILT, orig={"main.c": C_MAIN}), checksum="0" * 64)


def _upstream_change(directory: Path) -> Path:
    return write_quilt(directory, QUILT, orig={"main.c": C_MAIN.replace("0", "1")})[0]


def _no_orig(directory: Path) -> Path:
    tree, upstream = write_quilt(directory, QUILT, orig={"main.c": C_MAIN})
    upstream.unlink()
    return tree


def _dh(binary_files: dict[str, str], rules: str = DH_RULES, depends: str = "debhelper-compat (= 13)") -> Package:
    return Package(files=binary_files, rules=rules, depends=depends)


def _library(symbols: str, code: str, rules: str = "") -> Package:
    """libbroken1 of *code*, and *symbols* in its symbols file."""
    lib = "usr/lib/x86_64-linux-gnu"
    return Package(
        binary="libbroken1",
        rules=DH_RULES.replace("%:", f"{rules}%:"),
        files={
            "lib.c": code,
            "Makefile": "all:\n\tcc -shared -fPIC -Wl,-soname,libbroken.so.1 -o libbroken.so.1 lib.c\n"
            f"install:\n\tinstall -D libbroken.so.1 $(DESTDIR)/{lib}/libbroken.so.1\n",
            "debian/libbroken1.symbols": f"libbroken.so.1 libbroken1 #MINVER#\n {symbols}\n",
        },
    )


STRICT = "export DPKG_GENSYMBOLS_CHECK_LEVEL = 4\n"
F = "int f(void) { return 1; }\n"
INSTALLS = {"main.c": C_MAIN, "Makefile": "all:\ninstall:\n\tinstall -D main.c $(DESTDIR)/usr/share/broken/main.c\n"}

CASES = (
    Case("patch", _patch, "patch", "Hunk #1 FAILED at 1.", stage="unpack"),
    Case("checksum", _checksum, "input", "SHA-256", stage="source", status=Status.INVALID, logged=False),
    Case("upstream-change", _upstream_change, "source", "local changes detected", stage="pack"),
    Case("no-orig", _no_orig, "source", "lacks broken_1.0.orig.tar", stage="source", status=Status.INVALID,
         logged=False),
    Case(
        "binary-in-diff",
        lambda directory: _with_binary(directory),
        "source", "unwanted binary file", stage="pack",
    ),
    Case(
        "changelog",
        Package(changelog="broken 1.0 trixie\n\n  * First.\n"),
        "input", "changelog", stage="source", status=Status.INVALID, logged=False,
    ),
    Case(
        "control-syntax",
        Package(depends="", rules=plain_rules("true"), fields=("this line is no field",)),
        "packaging", "debian/control", stage="pack",
    ),
    Case(
        "control-relation",
        Package(depends="hostname (>> ", rules=plain_rules("true")),
        "input", "'hostname (>>' cannot be read", stage="resolve", status=Status.INVALID, logged=False,
    ),
    Case(
        "architecture",
        Package(architecture="arm64", depends="", rules=plain_rules("true")),
        "input", "nothing to build for amd64", stage="source", status=Status.INVALID, logged=False,
    ),
    Case("rules-syntax", Package(depends="", rules="#!/usr/bin/make -f\n%:\n    dh $@\n"), "packaging",
         "missing separator", stage="pack"),
    Case("rules-target", Package(depends="", rules="#!/usr/bin/make -f\nclean:\n\ttrue\n"), "packaging",
         "No rule to make target"),
    Case("gencontrol", make_plain("true; dpkg-gencontrol -pnobody"), "packaging", "package nobody not in control info"),
    Case("compat", _dh({}, depends="debhelper"), "debhelper", "specify the compatibility level", stage="pack"),
    Case("compat-twice", _dh({"debian/compat": "13\n"}), "debhelper", "compat", stage="pack"),
    Case("dh-install", _dh({"debian/install": "usr/bin/nobody\n"}), "debhelper",
         'Cannot find (any matches for) "usr/bin/nobody"'),
    Case(
        "dh-missing",
        _dh(INSTALLS, DH_RULES + "override_dh_auto_install:\n\tdh_auto_install --destdir=debian/tmp\n"),
        "debhelper", "usr/share/broken/main.c exists in debian/tmp but is not installed to anywhere",
    ),
    Case(
        "shlibdeps",
        Package(files={
            "Makefile": "all:\n\tcc -shared -fPIC -Wl,-soname,libnobody.so.1 -o libnobody.so lib.c\n"
            "\tcc -o m main.c -L. -lnobody\ninstall:\n\tinstall -D m $(DESTDIR)/usr/bin/m\n",
            "lib.c": "int f(void) { return 1; }\n", "main.c": "int f(void);\nint main(void) { return f(); }\n"}),
        "packaging", "cannot find library libnobody.so.1",
    ),
    Case("gensymbols-gone", _library("f@Base 0.1\n g@Base 0.1", F), "packaging",
         "some symbols or patterns disappeared in the symbols file"),
    Case("gensymbols-new", _library("f@Base 0.1", F + F.replace("f", "g"), STRICT), "packaging",
         "some new symbols appeared in the symbols file"),
    Case("lintian-gate", make_plain("true"), "lintian gate", "error: broken: ", stage="check-lintian",
         words=("--check", "lintian"), logged=False, check="lintian"),
    Case("override", Package(rules=DH_RULES + "override_dh_auto_install:\n\tcp nobody debian/broken/\n"), "command",
         "cannot stat 'nobody'"),
    Case("permission", make_plain("./run", run="#!/bin/sh\nexit 0\n"), "command", "Permission denied"),
    Case("dh-sequence", Package(rules="#!/usr/bin/make -f\n%:\n\tdh $@ --with nobody\n"), "debhelper",
         "unable to load addon nobody", stage="pack"),
)  # fmt: skip


def _with_binary(directory: Path) -> Path:
    tree, _ = write_quilt(directory, QUILT, orig={"main.c": C_MAIN})
    (tree / "debian" / "picture").write_bytes(bytes(range(256)))
    return tree
