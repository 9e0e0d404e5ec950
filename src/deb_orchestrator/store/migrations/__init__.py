"""Alembic revisions, oldest first. They only add (expand); what is no longer used goes one release later (contract)."""
