"""From what a user names to the sources of a chain: what each needs, what it builds, and a hash of what it is."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from debian.deb822 import PkgRelation

from deb_mock.buildtype import Parts, choose_parts, reduce_for_parts
from deb_mock.chain.graph import Binary, Clause, Graph, Node, Wanted
from deb_mock.config import Choice
from deb_mock.dsc import check_files
from deb_mock.pack import find_orig_files, parse_paragraphs, read_paragraphs
from deb_mock.source import DirectorySource, DscSource, ExportSource
from deb_mock.transfer import write_files_tar, write_tree_tar
from debcore.relations import Relation, format_relation, holding_clauses, is_for

if TYPE_CHECKING:
    from deb_mock.git.export import GitTree

#: What a member of a chain is built from: all of it lies on this host.
MemberSource = DscSource | DirectorySource | ExportSource
#: Of the settings, what does not change what a build makes.
NOT_IDENTITY = ("limits", "source", "preset", "description", "aliases")


@dataclass(frozen=True)
class Member:
    """One source of a chain, as it will be built."""

    node: Node
    source: MemberSource
    digest: str  #: of everything that is built from
    conflicts: str  #: reduced build conflicts, for apt

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def directory_name(self) -> str:
        return f"{self.node.name}_{self.node.version.rpartition(':')[2]}"


def load_member(source: MemberSource, choice: Choice) -> Member:
    """Read the control fields of *source*. Errors: Failure, ConfigError."""
    if isinstance(source, DscSource):
        check_files(source.dsc)
        dsc = source.dsc
        names = " ".join(dsc.fields.get("Binary", "").split(","))
        binaries = tuple(Binary(name) for name in names.split())
        fields, architectures = dsc.fields, dsc.architectures
        name, version = dsc.source, dsc.version
        digest = hashlib.sha256(dsc.path.read_bytes()).hexdigest()  # it has the hashes of the others
    else:
        paragraphs, digest = _read_tree(source)
        fields, *packages = paragraphs
        architectures = tuple(word for paragraph in packages for word in paragraph.get("Architecture", "").split())
        binaries = tuple(_read_binary(p) for p in packages if _is_built(p, choice.arch))
        name, version = source.entry.source, source.entry.version
    parts = choose_parts(choice.settings.build.type, architectures=architectures, arch=choice.arch, name=name)
    wants = tuple(_clauses(fields, parts, choice))
    conflicts = reduce_for_parts(
        fields, parts, arch=choice.arch, profiles=choice.settings.build.profiles
    )[1]  # fmt: skip
    return Member(Node(name, version, binaries, wants), source, digest, conflicts)


def _read_tree(source: DirectorySource | ExportSource) -> tuple[list[Mapping[str, str]], str]:
    """The paragraphs of debian/control, and a hash of everything."""
    if isinstance(source, DirectorySource):
        return read_paragraphs(source.path), hash_directory(source)
    from deb_mock.git.kept import open_export

    tree = open_export(source)
    return parse_paragraphs(tree.control, where=f"{tree.commit[:12]}:debian/control"), hash_export(tree)


def hash_export(tree: GitTree) -> str:
    """Of the exported tree, which is the same for each export of a commit, and of upstream's tarballs."""
    content = []
    for name, path in sorted({"tree": tree.tar, **tree.orig}.items()):
        with path.open("rb") as file:
            content.append([name, hashlib.file_digest(file, "sha256").hexdigest()])
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def hash_directory(source: DirectorySource) -> str:
    """Of every file of the tree with its time, as it will be packed, and of the upstream tarballs beside it."""
    sink = _Hashing()
    with io.BufferedWriter(sink) as stream:
        write_tree_tar(source.path, source.entry.source, stream)
        write_files_tar(find_orig_files(source), stream)
    return sink.digest.hexdigest()


class _Hashing(io.RawIOBase):
    """A stream that keeps nothing but the hash of what was written."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self.digest.update(view)
        return view.nbytes


def identify(member: Member, graph: Graph, members: Mapping[str, Member], choice: Choice) -> str:
    """A hash of all that decides what *member* becomes: itself, the settings, and the same of all that it needs."""
    settings = choice.settings.model_dump(mode="json", exclude=set(NOT_IDENTITY))
    settings["archive"].pop("max_age")
    settings["build"].pop("keep_failed")
    for key in ("tmpfs", "required_ram_mb", "max_fs_size"):
        settings["root"].pop(key)
    before = sorted((name, members[name].digest) for name in graph.closure(member.name))
    content = ["chain 1", choice.preset.name, settings, member.name, member.node.version, member.digest, before]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_built(paragraph: Mapping[str, str], arch: str) -> bool:
    words = paragraph.get("Architecture", "").split()
    return "all" in words or is_for(words, arch)


def _clauses(fields: Mapping[str, str], parts: Parts, choice: Choice) -> Iterator[Clause]:
    profiles = choice.settings.build.profiles
    suffixes = ["", *(["-Arch"] if parts.any else []), *(["-Indep"] if parts.all else [])]
    for field in (f"Build-Depends{suffix}" for suffix in suffixes):
        for text, usable in holding_clauses(fields.get(field, ""), arch=choice.arch, profiles=profiles):
            yield make_clause(field, text, usable)


def make_clause(field: str, text: str, alternatives: Sequence[Relation]) -> Clause:
    return Clause(field, text, " | ".join(map(format_relation, alternatives)), tuple(map(_make_wanted, alternatives)))


def _make_wanted(relation: Relation) -> Wanted:
    version = relation.get("version")
    operator, number = map(str, version) if isinstance(version, tuple) else ("", "")
    return Wanted(str(relation["name"]), {"<": "<=", ">": ">="}.get(operator, operator), number)


def _read_binary(paragraph: Mapping[str, str]) -> Binary:
    provides = tuple((w.name, w.version or "") for c in _plain_clauses(paragraph, "Provides") for w in c.alternatives)
    depends = tuple(c for field in ("Pre-Depends", "Depends") for c in _plain_clauses(paragraph, field))
    return Binary(paragraph.get("Package", ""), provides, depends)


def _plain_clauses(paragraph: Mapping[str, str], field: str) -> Iterator[Clause]:
    """What can be read before the build: a clause that is a substitution says nothing, a version that is one is any."""
    for text in paragraph.get(field, "").split(","):
        known = re.sub(r"\([^)]*\$\{[^)]*\)", "", text).strip()
        if known and "${" not in known:
            for alternatives in PkgRelation.parse_relations(known):
                yield make_clause(field, " ".join(text.split()), alternatives)
