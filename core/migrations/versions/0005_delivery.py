"""Deliveries: destinations that are down or paced, objects to be looked up, versions by a person.

Revision: 0005, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import core.tables

revision = "0005"
down_revision = "0006"


def _moment() -> core.tables.UtcDateTime:
    return core.tables.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "channel",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", _moment(), nullable=True),
        sa.Column("held_until", _moment(), nullable=True),
        sa.Column("paced_until", _moment(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_channel"),
    )
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(
            sa.Column("is_doubtful", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("artifact") as artifact:
        artifact.add_column(
            sa.Column("header_digest", sa.String(64), nullable=False, server_default="")
        )
    op.drop_index("uq_draft_recorded", "draft")
    with op.batch_alter_table("draft") as draft:
        draft.add_column(sa.Column("origin", sa.String(16), nullable=False, server_default="model"))
        draft.add_column(sa.Column("changes", sa.JSON(), nullable=False, server_default="{}"))
    op.create_index(
        "uq_draft_recorded",
        "draft",
        ["study_id", "study_version"],
        unique=True,
        sqlite_where=sa.text("NOT is_withheld AND origin = 'model'"),
        postgresql_where=sa.text("NOT is_withheld AND origin = 'model'"),
    )


def downgrade() -> None:
    op.drop_index("uq_draft_recorded", "draft")
    with op.batch_alter_table("draft") as draft:
        for name in ("changes", "origin"):
            draft.drop_column(name)
    op.create_index(
        "uq_draft_recorded",
        "draft",
        ["study_id", "study_version"],
        unique=True,
        sqlite_where=sa.text("NOT is_withheld"),
        postgresql_where=sa.text("NOT is_withheld"),
    )
    with op.batch_alter_table("delivery") as delivery:
        delivery.drop_column("is_doubtful")
    with op.batch_alter_table("artifact") as artifact:
        artifact.drop_column("header_digest")
    op.drop_table("channel")
