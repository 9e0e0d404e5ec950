"""Every verb and option of mock(1) as one table: command lines are translated by it, and the reference is made of it.

A word works, or changes nothing here and says why, or is refused and names ours. None is silently ignored.
Source: mock 6.7, its manual page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["works", "idle", "refused"]

#: Verbs of ours that build, and those that are about a named root.
BUILDS = ("build", "chain")
ROOTS = ("init", "install", "remove", "update", "apt", "copyin", "copyout", "snapshot", "rollback", "shell", "run")
#: Stands for the value of an option.
VALUE = "{}"
#: In `Option.becomes`: for every verb that is not named.
ELSE = "*"


@dataclass(frozen=True)
class Verb:
    """`names` as typed (or without dashes); `ours` is our verb and what always goes with it; `shown` is for people."""

    names: tuple[str, ...]
    ours: tuple[str, ...]
    shown: str
    text: str
    value: str = ""  #: the name of the verb's own argument, as of --scrub=TYPE
    kind: Kind = "works"


@dataclass(frozen=True)
class Option:
    """`becomes`: our verb → words of ours. A verb that is missing there refuses the option."""

    names: tuple[str, ...]
    value: str
    kind: Kind
    text: str
    becomes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _verb(names: str, ours: str, text: str, *, shown: str = "", value: str = "") -> Verb:
    return Verb(tuple(names.split()), tuple(ours.split()), shown or ours, text, value)


def _no_verb(names: str, text: str, *, value: str = "") -> Verb:
    return Verb(tuple(names.split()), (), "", text, value, "refused")


VERBS: tuple[Verb, ...] = (
    _verb("--rebuild", "build", "Build; several sources one after the other.", shown="build SOURCE"),
    _verb("--chain", "chain", "Build in the order of the dependencies.", shown="chain SOURCE…"),
    _verb("--buildsrpm", "source", "Make the source package of a directory.", shown="source DIRECTORY"),
    _verb("--init create", "init", "Removes the named root that is called as its preset, unless -n.",
          shown="clean --named; init"),
    _verb("--install -i", "install", "In the named root that is called as its preset.", shown="install PACKAGE…"),
    _verb("--installdeps", "apt", "The build dependencies of a package of the archive.",
          shown="apt -- build-dep NAME"),
    _verb("--remove", "remove", "In the named root.", shown="remove PACKAGE…"),
    _verb("--update", "update", "All packages of the named root, or those that are named.", shown="update"),
    _verb("--pm-cmd", "apt", "The package manager is apt: its words.", shown="apt -- WORD…"),
    _verb("--shell", "shell -n", "In the named root; with a command: `run -n --as-root`.", shown="shell -n"),
    _verb("--chroot", "run -n", "As root in the named root; one word with blanks is a line for sh.",
          shown="run -n --as-root -- COMMAND"),
    _verb("--copyin", "copyin", "Into the named root.", shown="copyin FILE… PATH"),
    _verb("--copyout", "copyout", "Out of the named root.", shown="copyout PATH… DEST"),
    _verb("--snapshot", "snapshot", "Of the named root.", shown="snapshot LABEL"),
    _verb("--rollback-to", "rollback", "Of the named root.", shown="rollback LABEL"),
    _verb("--remove-snapshot", "snapshot --remove", "Of the named root.", shown="snapshot --remove LABEL"),
    _verb("--list-snapshots -l", "snapshot --list", "Of the named root.", shown="snapshot --list"),
    _verb("--clean", "clean --named", "The named root that is called as its preset.", shown="clean --named"),
    _verb("--scrub", "scrub", "With -r only what is of that preset.", shown="scrub KIND", value="TYPE"),
    _verb("--scrub-all-chroots", "scrub all", "Of every preset.", shown="scrub all"),
    _verb("--list-chroots", "list presets", "Presets are what Mock's configurations are.", shown="list presets"),
    _verb("--debug-config --debug-config-expanded", "config show --origin", "Each value with its origin.",
          shown="config show --origin"),
    _verb("--calculate-build-dependencies", "lock", "Into buildroot_lock.json, in --resultdir if that is given.",
          shown="lock -o FILE SOURCE"),
    _verb("login", "shell", "pbuilder's word.", shown="shell"),
    _verb("execute", "run --as-root", "pbuilder's word.", shown="run --as-root -- COMMAND"),
    _no_verb("--dnf-cmd --yum-cmd", "packages come by apt: deb-mock apt -- WORD…"),
    _no_verb("--hermetic-build", "takes a lock and no repository here: deb-mock build --locked LOCK --offline SOURCE"),
    _no_verb("--scm-enable", "name the repository: deb-mock build https://…/hello.git#BRANCH"),
    _no_verb("--orphanskill", "processes end with their root; what a killed build left goes with: deb-mock clean"),
    _no_verb("--mount --umount", "a root is mounted only while something runs in it: deb-mock shell, deb-mock copyout"),
    _no_verb("--print-root-path -p", "a root has no path on this host: deb-mock shell, copyin and copyout reach it"),
)  # fmt: skip


def _works(names: str, text: str, becomes: Mapping[str | tuple[str, ...], str], *, value: str = "") -> Option:
    flat: dict[str, tuple[str, ...]] = {}
    for verbs, words in becomes.items():
        flat |= dict.fromkeys((verbs,) if isinstance(verbs, str) else verbs, tuple(words.split()))
    return Option(tuple(names.split()), value, "works", text, flat)


def _idle(names: str, text: str, *, value: str = "") -> Option:
    return Option(tuple(names.split()), value, "idle", text)


def _refused(names: str, text: str, *, value: str = "") -> Option:
    return Option(tuple(names.split()), value, "refused", text)


#: Every verb but `build` that takes --set.
SETTABLE = ("chain", *ROOTS, "lock")
OPTIONS: tuple[Option, ...] = (
    _works("-r", "A preset or suite of deb-mock.", {"list": "", ELSE: "-r {}"}, value="NAME"),
    _works("--arch --forcearch", "Architecture of the root; QEMU runs what this machine cannot.",
           {"list": "", ELSE: "--arch {}"}, value="ARCH"),
    _works("--resultdir", "Where results go; nothing with verbs that have none.",
           {(*BUILDS, "source"): "--resultdir {}", ELSE: ""}, value="DIR"),
    _works("--localrepo", "The chain's directory, which is a repository too.", {"chain": "--resultdir {}"},
           value="DIR"),
    _works("-c --continue", "After a failure go on with what does not need it.", {"chain": "--continue"}),
    _works("--recurse", "Try what failed again with what was built since.", {"chain": "--recurse"}),
    _works("-n --no-clean", "In the named root as it is; for --init: keep it.", {"build": "-n", ROOTS: ""}),
    _works("-N --no-cleanup-after", "Keeps the root of a build that fails: shell --last-failed.",
           {BUILDS: "--keep-failed", ELSE: ""}),
    _works("--nocheck", "The build profile nocheck.", {(*BUILDS, "lock"): "--profile nocheck"}),
    _works("--postinstall", "Checks that what was built installs.", {"build": "--check install"}),
    _works("--enable-network", "The result then counts as not reproducible.",
           {BUILDS: '--set build.online=["build"]'}),
    _works("--rpmbuild_timeout", "Seconds for the whole build.", {BUILDS: "--set limits.time={}"}, value="SECONDS"),
    _works("--additional-package", "In the base root.",
           {("build", *SETTABLE): "--set root.packages={}"}, value="PACKAGE"),
    _works("--enable-plugin", "Plugins have Mock's names.",
           {"build": "--enable-plugin {}", SETTABLE: "--set plugins.{}.enabled=true"}, value="PLUGIN"),
    _works("--disable-plugin", "Do without it.",
           {"build": "--disable-plugin {}", SETTABLE: "--set plugins.{}.enabled=false"}, value="PLUGIN"),
    _works("--plugin-option", "An option of a plugin.",
           {"build": "--plugin-option {}", SETTABLE: "--set plugins.{}"}, value="PLUGIN:KEY=VALUE"),
    _works("--unpriv", "As the build user.", {"run": "", "shell": "--user"}),
    _works("--cwd", "Directory that the command runs in.", {"run": ""}, value="DIR"),
    _works("--uniqueext", "A named root of its own, PRESET-EXT; builds need none, they never wait for each other.",
           {BUILDS: "", ROOTS: "--root {}", "clean": "--root {}"}, value="EXT"),
    _works("-v --verbose --print-main-output", "Shows the build log.", {BUILDS: "--verbose", ELSE: ""}),
    _works("--offline", "Only with --locked LOCK, which `deb-mock lock` makes.", {"build": "--offline"}),
    _idle("-q --quiet --no-print-main-output", "nothing but progress and results is printed"),
    _idle("--cleanup-after", "a throw-away root always goes"),
    _idle("--bootstrap-chroot --no-bootstrap-chroot --use-bootstrap-image --no-bootstrap-image",
          "apt and mmdebstrap run from a root of tools in any case"),
    _refused("--root", "names a kept root here; say -r PRESET", value="NAME"),
    _refused("--rootdir --cachedir", "roots are in one store: the variable DEBOOTC_STORE says where", value="DIR"),
    _refused("--configdir", "presets and config.toml are in ~/.config/deb-mock: see XDG_CONFIG_HOME", value="DIR"),
    _refused("--config-opts", "keys differ: --set KEY=VALUE, and deb-mock config show lists them", value="KEY=VALUE"),
    _refused("--target", "say --arch for another root, --host for a cross build", value="ARCH"),
    _refused("-a --addrepo", "an apt source is more than a URL: [[archive.extra]] in config.toml", value="URL"),
    _refused("--enablerepo --disablerepo", "suites are chosen with --set archive.suites=SUITE,…", value="REPO"),
    _refused("-D --define", "there are no macros: --set build.options=WORD,… is DEB_BUILD_OPTIONS", value="MACRO"),
    _refused("--with --without", "is a build profile in Debian: --profile NAME", value="FEATURE"),
    _refused("--macro-file --spec --sources", "name a source directory, a .dsc or a git repository", value="PATH"),
    _refused("--scm-option", "name the repository: deb-mock build https://…/hello.git#BRANCH", value="OPTION"),
    _refused("--symlink-dereference", "links of a source stay links"),
    _refused("--isolation", "there is one way to isolate, and it needs no choice: leave it out", value="HOW"),
    _refused("--old-chroot --new-chroot", "there is one way to isolate: leave it out"),
    _refused("--short-circuit", "a build that failed goes on with: deb-mock resume --from STAGE", value="STAGE"),
    _refused("--bootstrap-image --buildroot-image", "roots are made of packages: deb-mock init", value="IMAGE"),
    _refused("--dnf --dnf4 --dnf5 --yum --microdnf", "packages come by apt: leave it out"),
    _refused("--pm", "packages come by apt: leave it out", value="NAME"),
    _refused("--trace", "set the variable DEBOOTC_DEBUG=1"),
)  # fmt: skip
