"""The databases of the contract tests."""

from __future__ import annotations

from tests.contract.orchestrator.conftest import postgres, postgres_url, url

__all__ = ["postgres", "postgres_url", "url"]
