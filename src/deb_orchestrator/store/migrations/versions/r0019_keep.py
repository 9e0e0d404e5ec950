"""What is kept and what goes: pins, marks, what builds left, and indexes by which uses of a blob are found."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "pin",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pin")),
    )
    op.create_table(
        "pin_file",
        sa.Column("pin", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["pin"], ["pin.name"], name=op.f("fk_pin_file_pin")),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name=op.f("fk_pin_file_sha256")),
        sa.PrimaryKeyConstraint("pin", "sha256", name=op.f("pk_pin_file")),
    )
    op.create_table(
        "doomed",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("marked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_doomed")),
    )
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    result_file = op.create_table(
        "result_file",
        sa.Column("build_arch_id", big_id, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["build_arch_id"], ["build_arch.id"], name=op.f("fk_result_file_build_arch_id")),
        sa.PrimaryKeyConstraint("build_arch_id", "sha256", name=op.f("pk_result_file")),
    )
    op.create_table(
        "retention",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_retention")),
    )
    op.add_column("blob", sa.Column("gone_at", sa.BigInteger(), nullable=True))
    op.add_column("build_check", sa.Column("policy_sha256", sa.Text(), nullable=True))
    op.add_column("suite_snapshot", sa.Column("created_at", sa.BigInteger(), nullable=True))
    for table, column in (
        ("pin_file", "sha256"), ("doomed", "marked_at"), ("result_file", "sha256"), ("build_check", "policy_sha256"),
        ("publication_file", "sha256"), ("publication", "release_sha256"), ("publication", "inrelease_sha256"),
        ("publication", "release_gpg_sha256"), ("binary_package", "sha256"), ("source_package", "sha256"),
        ("suite_binary", "package_id"), ("suite_source", "package_id"),
    ):  # fmt: skip
        op.create_index(f"ix_{table}_{column}", table, [column])
    _learn_results(op.get_bind(), result_file)


def _learn_results(db: sa.Connection, result_file: sa.Table) -> None:
    """From the JSON of the results that there are."""
    arches = sa.text("SELECT id, result, log_sha256, lock_sha256 FROM build_arch").columns(
        sa.column("id"), sa.column("result", sa.JSON), sa.column("log_sha256"), sa.column("lock_sha256")
    )
    checks = sa.text("SELECT build_arch_id AS id, result FROM build_check").columns(
        sa.column("id"), sa.column("result", sa.JSON)
    )
    found: dict[tuple[int, str], str] = {}
    for row in db.execute(arches).all():
        _note(found, row.id, row.result)
        for kind in ("log", "lock"):
            if sha256 := row._mapping[f"{kind}_sha256"]:
                found[row.id, sha256] = kind
    for row in db.execute(checks).all():
        _note(found, row.id, row.result)
    rows = [{"build_arch_id": id_, "sha256": sha256, "kind": kind} for (id_, sha256), kind in found.items()]
    if rows:
        db.execute(result_file.insert(), rows)


def _note(found: dict[tuple[int, str], str], id_: int, result: Any) -> None:
    for output in (result or {}).get("outputs", ()):
        found[id_, output["sha256"]] = output.get("kind", "other")
