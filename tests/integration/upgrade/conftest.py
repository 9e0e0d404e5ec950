"""Processes of each test, ended with it."""

from __future__ import annotations

from tests.integration.orchestrator.conftest import stack

__all__ = ["stack"]
