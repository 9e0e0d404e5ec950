"""Failures while configuring, compiling, linking and testing, in every build system that debhelper knows."""

from __future__ import annotations

from tests.failures.case import Case
from tests.failures.package import DH_RULES, Package, make_plain

#: One layer for all build systems: debhelper's first, then the tools of the others.
TOOLS = "debhelper-compat (= 13), cmake, meson, pkgconf, dh-python, python3-all, python3-pytest, python3-setuptools"
GO = "debhelper-compat (= 13), dh-golang, golang-any"
C_MAIN = "int main(void)\n{\n    return 0;\n}\n"
C_FAILS = "int main(void)\n{\n    return 1;\n}\n"

#: Twenty sources of which one is wrong, built by many jobs with noise around.
PARALLEL_MAKE = "all: $(patsubst %,o%.o,1 2 3 4 5 6 7 8 9)\no%.o:\n\t@echo CC $@; sleep 0.$*\n\t@cc -c bad$*.c -o $@\n"
PARALLEL = {f"bad{n}.c": "int x;\n" if n != 4 else "int f(void) { return y; }\n" for n in range(1, 10)}

AUTOMAKE = {
    "configure.ac": "AC_INIT([broken],[1.0])\nAM_INIT_AUTOMAKE([foreign])\nAC_PROG_CC\nAC_CONFIG_FILES([Makefile])\n"
    "AC_OUTPUT\n",
    "Makefile.am": "bin_PROGRAMS = broken\nbroken_SOURCES = main.c\nTESTS = good bad\n",
    "main.c": C_MAIN,
    "good": "#!/bin/sh\nexit 0\n",
    "bad": "#!/bin/sh\necho 'expected 4, got 5'\nexit 1\n",
}
CMAKE = "cmake_minimum_required(VERSION 3.20)\nproject(broken C)\n"
PYTHON_RULES = "#!/usr/bin/make -f\nexport PYBUILD_NAME=broken\n%:\n\tdh $@ --with python3 --buildsystem=pybuild\n"
SETUP = "from setuptools import setup\nsetup(name='broken', version='1.0', py_modules=['broken'])\n"
GO_RULES = "#!/usr/bin/make -f\n%:\n\tdh $@ --builddirectory=_build --buildsystem=golang\n"
GO_FIELDS = ("XS-Go-Import-Path: example.org/broken",)
GO_MOD = "module example.org/broken\n\ngo 1.24\n"
MAKEFILE_PL = "use ExtUtils::MakeMaker;\nWriteMakefile(NAME => 'Broken', VERSION => '1.0');\n"

CASES = (
    Case(
        "compile-c",
        make_plain("cc -c m.c", m__c="int main(void)\n{\n    return x;\n}\n"),
        "compile", "m.c:3:12: error: ‘x’ undeclared",
    ),
    Case(
        "compile-cxx",
        make_plain("g++ -c m.cc", m__cc='#include <string>\nstd::string f() { return std::vector<int>(); }\n'),
        "compile", "m.cc:2:31: error: ‘vector’ is not a member of ‘std’",
    ),
    Case(
        "compile-parallel",
        Package(depends="", rules=DH_RULES.replace("dh $@", "test $@ = clean || $(MAKE) -f Makefile -j4 all"),
                files={"Makefile": PARALLEL_MAKE, **PARALLEL}),
        "compile", "bad4.c:1:22: error: ‘y’ undeclared",
    ),
    Case(
        "missing-header",
        make_plain("cc -c m.c", m__c="#include <zlib-of-nobody.h>\n"),
        "compile", "m.c:1:10: fatal error: zlib-of-nobody.h: No such file or directory",
    ),
    Case(
        "link-undefined",
        make_plain("cc -o m m.c", m__c="int f(void);\nint main(void) { return f(); }\n"),
        "link", "undefined reference to `f'",
    ),
    Case("link-library", make_plain("cc -o m m.c -lnobody", m__c=C_MAIN), "link", "cannot find -lnobody"),
    Case(
        "link-duplicate",
        make_plain("cc -o m m.c n.c", m__c=C_MAIN, n__c=C_MAIN),
        "link", "multiple definition of `main'",
    ),
    Case("command-missing", make_plain("frobnicate --all"), "command", "frobnicate: No such file or directory"),
    Case("perl-module", make_plain("perl -MNobody::Has -e 1"), "configure", "Can't locate Nobody/Has.pm in @INC"),
    Case(
        "segfault",
        make_plain("cc -o m m.c && ./m", m__c="int main(void) { return *(volatile int *) 0; }\n"),
        "crash", "Segmentation fault",
    ),
    Case("abort", make_plain("perl -e 'kill 6, $$$$'"), "crash", "Aborted"),
    Case(
        "autoreconf",
        Package(files={"configure.ac": "AC_INIT([broken],[1.0])\nAM_INIT_AUTOMAKE([foreign])\nAC_NO_SUCH_MACRO\n"
                                       "AC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n", "Makefile.am": ""}),
        "configure", "possibly undefined macro: AC_NO_SUCH_MACRO",
    ),
    Case(
        "autotools-configure",
        Package(files={**AUTOMAKE, "configure.ac": "AC_INIT([broken],[1.0])\nAM_INIT_AUTOMAKE([foreign])\nAC_PROG_CC\n"
                "AC_CHECK_HEADER([nobody.h],,[AC_MSG_ERROR([nobody.h is needed])])\nAC_CONFIG_FILES([Makefile])\n"
                "AC_OUTPUT\n"}, executables=("good", "bad")),
        "configure", "configure: error: nobody.h is needed",
    ),
    Case("test-automake", Package(files=AUTOMAKE, executables=("good", "bad")), "test", "FAIL: bad"),
    Case(
        "cmake-dependency",
        Package(depends=TOOLS, files={"CMakeLists.txt": CMAKE + "find_package(ZLIB REQUIRED)\n"}),
        "configure", "Could NOT find ZLIB",
    ),
    Case(
        "cmake-package",
        Package(depends=TOOLS, files={"CMakeLists.txt": CMAKE + "find_package(NobodyHas 3 REQUIRED)\n"}),
        "configure", "CMake Error at CMakeLists.txt:3 (find_package)",
    ),
    Case(
        "test-ctest",
        Package(depends=TOOLS, files={
            "CMakeLists.txt": CMAKE + "enable_testing()\nadd_executable(good good.c)\nadd_executable(bad bad.c)\n"
            "add_test(NAME good COMMAND good)\nadd_test(NAME bad COMMAND bad)\ninstall(TARGETS good)\n",
            "good.c": C_MAIN, "bad.c": C_FAILS}),
        "test", "Test #2: bad",
    ),
    Case(
        "meson-dependency",
        Package(depends=TOOLS, files={"meson.build": "project('broken', 'c')\ndependency('nobody-has')\n"}),
        "configure", 'Dependency "nobody-has" not found',
    ),
    Case(
        "test-meson",
        Package(depends=TOOLS, files={
            "meson.build": "project('broken', 'c')\ntest('good', executable('good', 'good.c'))\n"
            "test('bad', executable('bad', 'bad.c'))\n", "good.c": C_MAIN, "bad.c": C_FAILS}),
        "test", "bad",
    ),
    Case(
        "test-pytest",
        Package(depends=TOOLS, rules=PYTHON_RULES, files={
            "setup.py": SETUP, "broken.py": "ANSWER = 41\n",
            "tests/test_broken.py": "import broken\n\n\ndef test_answer():\n    assert broken.ANSWER == 42\n"}),
        "test", "assert 41 == 42",
    ),
    Case(
        "python-module",
        Package(depends=TOOLS, rules=PYTHON_RULES, files={
            "setup.py": SETUP, "broken.py": "import nobody_has\n", "tests/test_broken.py": "import broken\n\n\n"
            "def test_it():\n    assert broken\n"}),
        "configure", "ModuleNotFoundError: No module named 'nobody_has'",
    ),
    Case(
        "test-perl",
        Package(files={"Makefile.PL": MAKEFILE_PL, "lib/Broken.pm": "package Broken;\n1;\n",
                       "t/bad.t": "use Test::More tests => 2;\nok(1, 'good');\nis(2 + 2, 5, 'sums');\n"}),
        "test", "Failed test 'sums'",
    ),
    Case(
        "test-go",
        Package(depends=GO, rules=GO_RULES, fields=GO_FIELDS, files={
            "go.mod": GO_MOD, "broken.go": "package broken\n\nfunc Sum(a, b int) int { return a - b }\n",
            "broken_test.go": 'package broken\n\nimport "testing"\n\nfunc TestSum(t *testing.T) {\n'
            '\tif Sum(2, 2) != 4 {\n\t\tt.Errorf("2 + 2 is %d", Sum(2, 2))\n\t}\n}\n'}),
        "test", "--- FAIL: TestSum",
    ),
    Case(
        "compile-go",
        Package(depends=GO, rules=GO_RULES, fields=GO_FIELDS, files={
            "go.mod": GO_MOD, "broken.go": "package broken\n\nfunc Sum(a int) int { return b }\n"}),
        "compile", "undefined: b",
    ),
    Case(
        "go-download",
        Package(depends=GO, fields=GO_FIELDS,
                rules=DH_RULES + "override_dh_auto_build:\n\tHOME=$(CURDIR) GO111MODULE=on GOFLAGS=-mod=mod go build\n",
                files={"go.mod": GO_MOD, "broken.go": 'package broken\n\nimport _ "golang.org/x/nobody"\n'}),
        "network", "module lookup disabled by GOPROXY=off",
    ),
)  # fmt: skip
