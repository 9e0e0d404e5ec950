"""Every option of sbuild(1) as one table: it is parsed by it, and the help and the reference page are made of it.

An option works, or changes nothing here and says why, or is refused and says what to use. None is silently ignored.
Source: sbuild 0.89 lib/Sbuild/Options.pm and OptionsBase.pm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["works", "idle", "refused"]


@dataclass(frozen=True)
class Option:
    """`names` as typed; `value` is the name of its argument, "" for a switch; `text` what it does, or why not."""

    names: tuple[str, ...]
    value: str
    kind: Kind
    text: str
    many: bool = False  #: may be given more than once, and all count

    @property
    def key(self) -> str:
        """The Python name: of the first long name."""
        long = next(name for name in self.names if name.startswith("--"))
        return long[2:].replace("-", "_").lower()


def _works(names: str, text: str, *, value: str = "", many: bool = False) -> Option:
    return Option(tuple(names.split()), value, "works", text, many)


def _idle(names: str, text: str, *, value: str = "") -> Option:
    return Option(tuple(names.split()), value, "idle", text, many=bool(value))


def _refused(names: str, text: str, *, value: str = "") -> Option:
    return Option(tuple(names.split()), value, "refused", text, many=bool(value))


def _list() -> Iterator[Option]:
    yield _works("-d --dist", "Suite to build for; also the Distribution of the .changes.", value="SUITE")
    yield _works("-c --chroot", "A preset or suite of deb-mock, or a tarball with a root.", value="NAME|TAR")
    yield _works("--chroot-mode", "Only unshare.", value="MODE")
    yield _works("--arch", "Architecture of root and packages.", value="ARCH")
    yield _works("--build", "Architecture of the root.", value="ARCH")
    yield _works("--host", "Architecture of the packages.", value="ARCH")
    yield _works("-A --arch-all", "Build arch:all packages (default).")
    yield _works("--no-arch-all", "Do not build arch:all packages.")
    yield _works("--arch-any", "Build arch:any packages (default).")
    yield _works("--no-arch-any", "Do not build arch:any packages.")
    yield _works("-s --source", "Build the source package too.")
    yield _works("--no-source", "Do not build the source package (default).")
    yield _works("--profiles", "Build profiles, separated by commas.", value="NAMES")
    yield _works("-j --jobs", "Parallel jobs.", value="N")
    yield _works("--debbuildopt", "One more option for dpkg-buildpackage.", value="OPTION", many=True)
    yield _works("--debbuildopts", "More of them, separated by blanks.", value="OPTIONS", many=True)
    yield _works(
        "--dpkg-source-opt", "One more option for dpkg-source, where a directory is packed.", value="OPTION", many=True
    )
    yield _works("--dpkg-source-opts", "More of them, separated by blanks.", value="OPTIONS", many=True)
    yield _works("--force-orig-source", "With --source: name upstream's tarball in the .changes in any case.")
    yield _works("--build-dir", "Where results go; default: the current directory.", value="DIR")
    yield _works("--build-path", "Directory inside that the source is unpacked in.", value="DIR")
    yield _works("--dsc-dir", "Name of the unpacked source directory inside.", value="NAME")
    yield _works("--extra-package", "A .deb, or a directory of them, for dependencies.", value="PATH", many=True)
    yield _works("--extra-repository", "One more apt source, as a line of sources.list(5).", value="LINE", many=True)
    yield _works("--extra-repository-key", "File with the key of the extra repositories.", value="FILE", many=True)
    for field in ("depends", "conflicts"):
        for part in ("", "-arch", "-indep"):
            text = f"More Build-{field.capitalize()}{part.title()}."
            yield _works(f"--add-{field}{part}", text, value="RELATIONS", many=True)
    yield _works("--build-dep-resolver", "aspcud; all other names mean apt.", value="NAME")
    yield _works("--aspcud-criteria", "What aspcud keeps small or large: apt-cudf(1).", value="TEXT")
    yield _works("--binNMU", "Build a binary-only rebuild with +bN after the version.", value="N")
    yield _works("--make-binNMU", "Why it is made, for its changelog entry.", value="TEXT")
    yield _works("--binNMU-timestamp", "Date of the entry: increment (default), now, seconds or a date.", value="TIME")
    yield _works("--binNMU-changelog", "The whole entry.", value="TEXT")
    yield _works("--append-to-version", "Build with this after the version.", value="SUFFIX")
    yield _works("-m --maintainer", "Who signs an added changelog entry.", value="NAME")
    yield _works("-k --keyid", "Sign the results with this key of your gpg, after the build.", value="KEY")
    yield _works("--enable-network", "dpkg-buildpackage sees the network; the result counts as not reproducible.")
    yield _works("-n --nolog", "No log file: the log goes to standard output.")
    yield _works("-v --verbose", "Show the log on standard output while it is written.")
    yield _works("-q --quiet", "Take one --verbose back.")
    yield _works("--log-filename-ts-format", "strftime(3) format in the log's name.", value="FORMAT")
    yield _works("--pre-build-commands", "Run on this host before anything.", value="COMMAND", many=True)
    yield _works("--chroot-setup-commands", "Run in the root before the source comes.", value="COMMAND", many=True)
    yield _works("--setup-hook", "The same, by its old name.", value="COMMAND", many=True)
    yield _works("--starting-build-commands", "Run in the root before dpkg-buildpackage.", value="COMMAND", many=True)
    yield _works("--finished-build-commands", "Run in the root after it.", value="COMMAND", many=True)
    yield _works(
        "--build-failed-commands",
        "Run in the root when it failed; %SBUILD_SHELL opens a shell.",
        value="COMMAND",
        many=True,
    )
    text = "As --build-failed-commands: a root that cannot be made, or lacks dependencies, is never opened."
    yield _works("--anything-failed-commands", text, value="COMMAND", many=True)
    yield _works("--chroot-cleanup-commands", "Run in the root at the end.", value="COMMAND", many=True)
    yield _works("--post-build-commands", "Run on this host at the end.", value="COMMAND", many=True)
    yield _works("--post-build-failed-commands", "Run on this host if the build failed.", value="COMMAND", many=True)
    for name in ("lintian", "piuparts", "autopkgtest"):
        yield _works(f"--run-{name}", f"Run {name} on what was built; the log has what it says, and a verdict.")
        yield _works(f"--no-run-{name}", f"Do not run {name} (default).")
        yield _works(
            f"--{name}-opts", f"With --run-{name}: more options, separated by blanks.", value="OPTIONS", many=True
        )
        yield _works(f"--{name}-opt", f"With --run-{name}: one more option.", value="OPTION", many=True)
    yield from _list_idle()
    yield from _list_refused()


def _list_idle() -> Iterator[Option]:
    apt = "package lists are checked each time, and a root always has the newest packages of its suite"
    for name in ("update", "upgrade", "distupgrade"):
        yield _idle(f"--apt-{name}", apt)
        yield _idle(f"--no-apt-{name}", "what the archive has decides; with a tarball nothing is upgraded anyway")
    yield _idle("--apt-clean --no-apt-clean", "the root has no cache of apt")
    yield _idle("-p --purge", "the root is thrown away in any case", value="WHEN")
    yield _idle("--purge-build", "as --purge", value="WHEN")
    yield _idle("--purge-deps", "as --purge", value="WHEN")
    yield _idle("--purge-session", "as --purge", value="WHEN")
    yield _idle("--purge-extra-packages", "extra packages are never kept in a root")
    yield _idle("--resolve-alternatives --no-resolve-alternatives", "the first alternative that can be had is taken")
    yield _idle("--bd-uninstallable-explainer", "apt's own words are always in the log", value="NAME")
    yield _idle("-b --batch", "there is no job file")
    yield _idle("--archive", "the preset says which archive", value="NAME")
    yield _idle("--sbuild-mode", "only user", value="MODE")
    yield _idle("--no-source-only-changes", "none is made")
    yield _idle("--clean-source", "a source directory is always cleaned, inside the root")
    yield _idle("--no-enable-network", "a build never has a network")
    yield _idle("--log-external-command-output", "what commands print is always in the log")
    yield _idle("--log-external-command-error", "as --log-external-command-output")
    yield _idle("--autopkgtest-virt-server", "only for other chroot modes", value="NAME")
    for name in ("piuparts", "autopkgtest"):
        yield _idle(f"--{name}-root-args --{name}-root-arg", "nothing runs as root of this host", value="ARGUMENTS")


def _list_refused() -> Iterator[Option]:
    yield _refused("-e --uploader", "sign with the name that you want: debsign -e", value="NAME")
    yield _refused("--source-only-changes", "use --no-arch-any --no-arch-all --source in a second run")
    yield _refused("--no-clean-source", "the clean target runs inside, where it can do no harm; make a .dsc yourself")
    yield _refused("--dpkg-file-suffix", "rename the .changes afterwards", value="SUFFIX")
    yield _refused("--use-snapshot", "add gcc-snapshot with --add-depends and set CC in the environment")
    yield _refused("--chroot-update-failed-commands", "a root that cannot be updated is never opened", value="COMMAND")
    yield _refused("--build-deps-failed-commands", "a root without its dependencies is never opened", value="COMMAND")
    yield _refused("--mail-log-to", "mail the log yourself with --post-build-commands", value="ADDRESS")
    yield _refused("--mailfrom", "mail the log yourself with --post-build-commands", value="ADDRESS")
    yield _refused("--hide-log-sections", "the log is always whole", value="NAMES")
    yield _refused("--stats-dir", "times and sizes are in the summary of the log", value="DIR")
    yield _refused(
        "--autopkgtest-virt-server-opts --autopkgtest-virt-server-opt", "only chroot mode unshare", value="X"
    )


OPTIONS: tuple[Option, ...] = tuple(_list())
#: Pairs that exclude each other: (one, other).
EXCLUSIVE = (
    ("arch_all", "no_arch_all"),
    ("arch_any", "no_arch_any"),
    ("source", "no_source"),
    ("run_lintian", "no_run_lintian"),
    ("run_piuparts", "no_run_piuparts"),
    ("run_autopkgtest", "no_run_autopkgtest"),
    ("arch", "build"),
    ("arch", "host"),
)
