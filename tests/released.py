"""The last release, unpacked from tests/golden/releases, and a Python that runs it.

A tree runs in a virtual environment of its own: three files, whose path file names the tree and then the libraries of
the environment that the tests run in, without its path files. So a program's children are of the same tree, those that
`python -I` starts too, which PYTHONPATH would not reach.
"""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from debcore.command import run

ROOT = Path(__file__).resolve().parent.parent
RELEASES = ROOT / "tests/golden/releases"
PACKAGES = ("debcore", "debroot", "deb_mock", "deb_orchestrator", "deb_bootc_compose")


@dataclass(frozen=True)
class Tree:
    """Sources that can run: *python* imports ours from *src*."""

    version: str
    src: Path
    python: Path

    @property
    def program(self) -> tuple[str, ...]:
        return (str(self.python), "-m", "deb_orchestrator")

    @property
    def head(self) -> str:
        """The newest revision of its schema."""
        return find_revisions(self.src)[-1]


def find_revisions(src: Path) -> list[str]:
    """All revisions of the schema, oldest first."""
    files = versions_of(src).glob("r*.py")
    return sorted(re.findall(r'^revision = "(\d+)"$', path.read_text(), re.MULTILINE)[0] for path in files)


def versions_of(src: Path) -> Path:
    return src / "deb_orchestrator/store/migrations/versions"


def last_release() -> Path:
    """Its file; releases are ordered by their numbers."""

    def numbers(path: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", path.name.partition("_")[2])[:3]]

    return max(RELEASES.glob("*.tar.xz"), key=numbers)


def unpack_release(directory: Path) -> Tree:
    """The last release in *directory*, which is empty."""
    path = last_release()
    run(["tar", "--extract", "--no-same-owner", "--file", path, "--directory", directory])
    version = path.name.partition("_")[2].removesuffix(".tar.xz")
    return make_tree(directory, version, directory / f"deb-bootc-ecosystem-{version}" / "src")


def copy_present(directory: Path, revision: str) -> Tree:
    """The present sources in *directory* with one more *revision* of the schema: what a next version might be."""
    src = directory / "src"
    shutil.copytree(ROOT / "src", src)  # with what was compiled
    (versions_of(src) / "r9999_next.py").write_text(revision)
    return make_tree(directory, "9.9.9", src)


def present_tree() -> Tree:
    """What is tested, as the other tests run it."""
    return Tree("present", ROOT / "src", Path(sys.executable))


def make_tree(directory: Path, version: str, src: Path) -> Tree:
    """A virtual environment beside *src*, in which it is installed as *version*."""
    venv = directory / "venv"
    libraries = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    metadata = libraries / f"deb_bootc_ecosystem-{version}.dist-info"
    for made in (venv / "bin", metadata):
        made.mkdir(parents=True)
    base = Path(sys._base_executable)  # type: ignore[attr-defined]  # venv's own way to find it
    (venv / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    (venv / "bin/python").symlink_to(base)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: deb-bootc-ecosystem\nVersion: {version}\n")
    (libraries / "tree.pth").write_text(f"{src}\n{sysconfig.get_path('purelib')}\n")
    tree = Tree(version, src, venv / "bin/python")
    check_imports(tree)
    return tree


def check_imports(tree: Tree) -> None:
    """Each package of ours comes from the tree, and no other does."""
    code = "import importlib, sys; print(*(importlib.import_module(name).__file__ for name in sys.argv[1:]))"
    found = run([tree.python, "-I", "-c", code, *PACKAGES], cwd=Path("/")).text.split()
    assert found == [str(tree.src / name / "__init__.py") for name in PACKAGES]
