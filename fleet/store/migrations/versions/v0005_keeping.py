"""What is kept of raw samples, and what tells boxes with one identity apart."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a table of roll-ups, and when outboxes and boots were used again."""
    op.create_table(
        "rollups",
        sa.Column("epoch_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("rolled_up_at", sa.Float, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("min_ms", sa.Float, nullable=False),
        sa.Column("max_ms", sa.Float, nullable=False),
        sa.Column("mean_ms", sa.Float, nullable=False),
        sa.Column("stddev_ms", sa.Float),
        sa.Column("p1_ms", sa.Float, nullable=False),
        sa.Column("p5_ms", sa.Float, nullable=False),
        sa.Column("p10_ms", sa.Float, nullable=False),
        sa.Column("p25_ms", sa.Float, nullable=False),
        sa.Column("p50_ms", sa.Float, nullable=False),
        sa.Column("p75_ms", sa.Float, nullable=False),
        sa.Column("p90_ms", sa.Float, nullable=False),
        sa.Column("p95_ms", sa.Float, nullable=False),
        sa.Column("p99_ms", sa.Float, nullable=False),
        sa.Column("p99_9_ms", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("epoch_id", "seq", name="pk_rollups"),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name="fk_rollups_epoch_id"),
        comment="What is kept of raw samples that are not.",
    )
    for column in (
        sa.Column("advanced_at", sa.Float, comment="when a place was closed last"),
        sa.Column("returns", sa.BigInteger, comment="times that it advanced after a later one"),
        sa.Column("returned_at", sa.Float),
    ):
        op.add_column("epochs", column)
    for column in (
        sa.Column("returns", sa.BigInteger, comment="times that an earlier boot was heard again"),
        sa.Column("returned_at", sa.Float),
    ):
        op.add_column("devices", column)
    _number_boots()


def _number_boots() -> None:
    """Earlier boots were names alone; the highest connection of each is not known."""
    bind = op.get_bind()
    devices = sa.table("devices", sa.column("id"), sa.column("earlier_boots"))
    rows = bind.execute(sa.select(devices).where(devices.c.earlier_boots.is_not(None))).all()
    for number, boots in rows:
        numbered = json.dumps([[boot, 0] for boot in json.loads(boots)])
        bind.execute(
            sa.update(devices).where(devices.c.id == number).values(earlier_boots=numbered)
        )
