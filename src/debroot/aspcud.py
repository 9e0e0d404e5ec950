"""Build dependencies solved by aspcud: it weighs all versions, where apt considers the one that its pins prefer.

aspcud knows packages only, so the dependencies become those of a package that is to be installed; it is made where
apt runs and never leaves it. Source: sbuild(1) --build-dep-resolver, apt-cudf(1).
"""

from __future__ import annotations

from debroot.debfile import parse_fields

#: What the tools root has beside apt.
PACKAGES = ("apt-cudf", "aspcud", "ca-certificates")

NAME = "debootc-build-dependencies"
#: $1 is the package's control file, the rest the command; the package follows it.
SCRIPT = f"""set -e
mkdir -p /tmp/{NAME}/DEBIAN
cp "$1" /tmp/{NAME}/DEBIAN/control
dpkg-deb --build /tmp/{NAME} /tmp/{NAME}.deb >/dev/null
shift
exec "$@" /tmp/{NAME}.deb
"""


def make_control(build_deps: str, *, arch: str) -> str:
    """A binary package that depends on what *build_deps* (a source stanza without restrictions) builds with."""
    fields = parse_fields(build_deps)

    def join(name: str) -> str:
        words = [fields.get(f"build-{name}{suffix}", "") for suffix in ("", "-arch", "-indep")]
        return ", ".join(word for word in words if word).replace(":native", "")

    depends = ", ".join(word for word in ("build-essential", join("depends")) if word)
    lines = [f"Package: {NAME}", "Version: 1", f"Architecture: {arch}", "Maintainer: nobody <nobody@localhost>"]
    lines += [f"Depends: {depends}", *([f"Conflicts: {conflicts}"] if (conflicts := join("conflicts")) else [])]
    return "\n".join([*lines, "Description: none", ""])


def make_command(control: str, criteria: str) -> list[str]:
    """The command that prints the solution for the package whose control file is at *control*."""
    options = (
        "APT::Solver=aspcud",
        "APT::Solver::Strict-Pinning=false",
        f"APT::Solver::aspcud::Preferences={criteria}",
    )
    apt = ["apt-get", "-q", "--print-uris", *(word for option in options for word in ("-o", option)), "install"]
    return ["sh", "-c", SCRIPT, "sh", control, *apt]
