"""Apt repositories as pure functions: stanzas in, bytes of Packages, Sources and Release out. No files, no database."""

from debcore.aptrepo.contents import (
    contents_path,
    make_contents,
    make_contents_location,
    make_translation,
    translation_path,
)
from debcore.aptrepo.indexes import IndexFile, join_blocks, make_file
from debcore.aptrepo.paths import by_hash_path, packages_path, pool_path, sources_path
from debcore.aptrepo.release import Release, parse_release
from debcore.aptrepo.stanzas import PoolFile, make_binary_stanza, make_source_stanza

__all__ = [
    "IndexFile",
    "PoolFile",
    "Release",
    "by_hash_path",
    "contents_path",
    "join_blocks",
    "make_binary_stanza",
    "make_contents",
    "make_contents_location",
    "make_file",
    "make_source_stanza",
    "make_translation",
    "packages_path",
    "parse_release",
    "pool_path",
    "sources_path",
    "translation_path",
]
