"""A delivery whose object the peer has, or may have, says so in a column of its own.

Of the rows that are there: whatever was attempted. Some of it was refused, which nothing in the
row says for certain; to take back what a peer does not have does no harm.

Revision: 0008, after 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(
            sa.Column("is_out", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    op.execute(
        "UPDATE delivery SET is_out = true WHERE attempts > 0 AND artifact_id IN "
        "(SELECT id FROM artifact WHERE sha256 <> '')"
    )


def downgrade() -> None:
    with op.batch_alter_table("delivery") as delivery:
        delivery.drop_column("is_out")
