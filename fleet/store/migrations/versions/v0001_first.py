"""Devices, results with their outbox places, quarantine, decisions and desired states."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Build the first schema."""
    _devices()
    _outboxes()
    _quarantine()
    _choices()


def _devices() -> None:
    op.create_table(
        "facts",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_facts"),
        comment="What is true of the store itself: its identity.",
    )
    op.create_table(
        "devices",
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("first_seen_at", sa.Float, nullable=False),
        sa.Column("last_seen_at", sa.Float),
        sa.Column("presence", sa.Text),
        sa.Column("boot_id", sa.Text),
        sa.Column("connection", sa.BigInteger),
        sa.Column("state_at", sa.Float, comment="by the device's clock"),
        sa.Column("inventory", sa.Text),
        sa.Column("progress", sa.Text, comment="the last update message"),
        sa.PrimaryKeyConstraint("site", "device", name="pk_devices"),
    )


def _outboxes() -> None:
    op.create_table(
        "epochs",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("through", sa.BigInteger, nullable=False),
        sa.Column("islands", sa.Text, nullable=False, comment="closed ranges beyond through"),
        sa.Column("first_seen_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_epochs"),
        sa.UniqueConstraint("site", "device", "epoch", name="uq_epochs_site_device_epoch"),
    )
    op.create_table(
        "results",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        *_place(),
        sa.Column("body_sha256", sa.Text, nullable=False),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("variant", sa.Text, nullable=False),
        sa.Column("threads", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("set_id", sa.Text, nullable=False),
        sa.Column("p95_ci_low_ms", sa.Float),
        sa.Column("p95_ci_high_ms", sa.Float),
        sa.Column("run", sa.Text, nullable=False, comment="the run without its raw samples"),
        sa.PrimaryKeyConstraint("id", name="pk_results"),
        sa.UniqueConstraint(
            "site", "device", "epoch", "seq", name="uq_results_site_device_epoch_seq"
        ),
    )
    op.create_index(
        "ix_results_site_device_set_id_fingerprint_variant_threads",
        "results",
        ["site", "device", "set_id", "fingerprint", "variant", "threads"],
    )
    op.create_table(
        "samples",
        *_place(),
        sa.Column("latencies_ms", sa.LargeBinary, nullable=False, comment="float64, little-endian"),
        sa.PrimaryKeyConstraint("site", "device", "epoch", "seq", name="pk_samples"),
    )
    op.create_table(
        "tombstones",
        *_place(),
        sa.Column("last_seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("site", "device", "epoch", "seq", "last_seq", name="pk_tombstones"),
    )
    op.create_table(
        "rejections",
        *_place(),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("rejected_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("site", "device", "epoch", "seq", name="pk_rejections"),
    )


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("site", sa.Text, comment="from the topic, where it has one"),
        sa.Column("device", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False, comment="at most 256 KiB of it"),
        sa.Column("payload_bytes", sa.BigInteger, nullable=False),
        sa.Column("payload_sha256", sa.Text, nullable=False),
        sa.Column("times", sa.BigInteger, nullable=False),
        sa.Column("first_at", sa.Float, nullable=False),
        sa.Column("last_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
        sa.UniqueConstraint("topic", "payload_sha256", name="uq_quarantine_topic_payload_sha256"),
    )
    op.create_index("ix_quarantine_site_device", "quarantine", ["site", "device"])


def _choices() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Float, nullable=False),
        sa.Column("evidence_sha256", sa.Text, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    op.create_index(
        "ix_decisions_site_device_policy_id", "decisions", ["site", "device", "policy", "id"]
    )
    op.create_table(
        "desired",
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("decision_id", sa.BigInteger, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("site", "device", "generation", name="pk_desired"),
    )


def _place() -> tuple[sa.Column[str], sa.Column[str], sa.Column[str], sa.Column[int]]:
    """Columns that name one place of one outbox."""
    return (
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
    )
