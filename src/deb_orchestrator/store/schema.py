"""The whole schema: importing this module fills the one MetaData with every table."""

from __future__ import annotations

from deb_orchestrator.store import (
    tables,
    tables_composes,
    tables_domain,
    tables_doors,
    tables_keep,
    tables_publish,
    tables_suite,
)
from deb_orchestrator.store.tables import metadata

__all__ = [
    "metadata",
    "tables",
    "tables_composes",
    "tables_domain",
    "tables_doors",
    "tables_keep",
    "tables_publish",
    "tables_suite",
]
