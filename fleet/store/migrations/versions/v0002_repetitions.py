"""What tells repetitions apart: ids of runs, places with two contents, earlier boots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add them; runs that are stored already get their id from their body."""
    op.add_column("results", sa.Column("run_id", sa.Text))
    if op.get_bind().dialect.name == "sqlite":
        # Other databases came later, and had no runs then.
        op.execute("UPDATE results SET run_id = json_extract(run, '$.run_id')")
    op.create_index("ix_results_site_device_run_id", "results", ["site", "device", "run_id"])
    op.add_column("devices", sa.Column("earlier_boots", sa.Text, comment="newest first"))
    op.create_table(
        "disputes",
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("last_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("site", "device", "epoch", "seq", name="pk_disputes"),
        comment="Places for which other bytes came than are stored.",
    )
