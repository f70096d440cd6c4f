"""Devices and outboxes by number: what every result repeats is short."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_BEFORE = (
    "devices", "epochs", "results", "samples", "tombstones", "rejections", "disputes",
)  # fmt: skip
_OWN = "SELECT id FROM devices d WHERE d.site = o.site AND d.device = o.device"
_EPOCH = (
    "JOIN devices d ON d.site = o.site AND d.device = o.device "
    "JOIN epochs e ON e.device_id = d.id AND e.epoch = o.epoch"
)


def upgrade() -> None:
    """Set the tables aside, build them anew, and bring their rows over."""
    for name in _BEFORE:
        # Copies have no constraints, whose names would be in the way of the new ones.
        op.execute(f"CREATE TABLE old_{name} AS SELECT * FROM {name}")  # noqa: S608 - our own names
    for name in _BEFORE:
        op.drop_table(name)
    _build()
    _bring_over()
    for name in _BEFORE:
        op.drop_table(f"old_{name}")


def _build() -> None:
    op.create_table(
        "devices",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
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
        sa.Column("earlier_boots", sa.Text, comment="newest first"),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.UniqueConstraint("site", "device", name="uq_devices_site_device"),
    )
    op.create_table(
        "memberships",
        _device_id(),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "name", name="pk_memberships"),
        _of_device("memberships"),
        comment="Groups by the operator; devices tell of others in their inventory.",
    )
    op.create_table(
        "epochs",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        _device_id(),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("through", sa.BigInteger, nullable=False),
        sa.Column("islands", sa.Text, nullable=False, comment="closed ranges beyond through"),
        sa.Column("first_seen_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_epochs"),
        sa.UniqueConstraint("device_id", "epoch", name="uq_epochs_device_id_epoch"),
        _of_device("epochs"),
    )
    op.create_table(
        "results",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        *_place(),
        sa.Column("run_id", sa.Text, nullable=False),
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
        sa.UniqueConstraint("epoch_id", "seq", name="uq_results_epoch_id_seq"),
        _of_epoch("results"),
    )
    op.create_table(
        "repeatable",
        _device_id(),
        sa.Column("run_id", sa.Text, nullable=False),
        *_place(),
        sa.PrimaryKeyConstraint("device_id", "run_id", "epoch_id", name="pk_repeatable"),
        _of_device("repeatable"),
        _of_epoch("repeatable"),
        comment="Runs of devices that have had several outboxes, and may bring one twice.",
    )
    _build_table_of_places(
        "samples",
        sa.Column("latencies_ms", sa.LargeBinary, nullable=False, comment="float64, little-endian"),
    )
    op.create_table(
        "tombstones",
        *_place(),
        sa.Column("last_seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("epoch_id", "seq", "last_seq", name="pk_tombstones"),
        _of_epoch("tombstones"),
    )
    _build_table_of_places(
        "rejections",
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("rejected_at", sa.Float, nullable=False),
    )
    _build_table_of_places(
        "disputes",
        sa.Column("last_at", sa.Float, nullable=False),
        comment="Places for which other bytes came than are stored.",
    )


def _bring_over() -> None:
    device_columns = (
        "site, device, first_seen_at, last_seen_at, presence, boot_id, connection, state_at, "
        "inventory, progress, earlier_boots"
    )
    op.execute(
        f"INSERT INTO devices ({device_columns}) "  # noqa: S608 - our own names
        f"SELECT {device_columns} FROM old_devices ORDER BY site, device"
    )
    op.execute(
        "INSERT INTO epochs (device_id, epoch, through, islands, first_seen_at) "  # noqa: S608
        f"SELECT ({_OWN}), epoch, through, islands, first_seen_at FROM old_epochs o ORDER BY id"
    )
    run_columns = (
        "body_sha256, received_at, variant, threads, status, fingerprint, set_id, "
        "p95_ci_low_ms, p95_ci_high_ms, run"
    )
    op.execute(
        f"INSERT INTO results (epoch_id, seq, run_id, {run_columns}) "  # noqa: S608
        f"SELECT e.id, seq, COALESCE(run_id, ''), {run_columns} "
        f"FROM old_results o {_EPOCH} ORDER BY o.id"
    )
    op.execute(
        "INSERT INTO repeatable (device_id, run_id, epoch_id, seq) "
        "SELECT e.device_id, r.run_id, r.epoch_id, MIN(r.seq) "
        "FROM results r JOIN epochs e ON e.id = r.epoch_id "
        "WHERE e.device_id IN (SELECT device_id FROM epochs GROUP BY device_id "
        "HAVING COUNT(*) > 1) GROUP BY e.device_id, r.run_id, r.epoch_id"
    )
    for name, columns in (
        ("samples", "latencies_ms"),
        ("tombstones", "last_seq, reason, received_at"),
        ("rejections", "reason, rejected_at"),
        ("disputes", "last_at"),
    ):
        op.execute(
            f"INSERT INTO {name} (epoch_id, seq, {columns}) "  # noqa: S608 - our own names
            f"SELECT e.id, seq, {columns} FROM old_{name} o {_EPOCH}"
        )


def _build_table_of_places(name: str, *columns: sa.Column[object], comment: str = "") -> None:
    op.create_table(
        name,
        *_place(),
        *columns,
        sa.PrimaryKeyConstraint("epoch_id", "seq", name=f"pk_{name}"),
        _of_epoch(name),
        comment=comment or None,
    )


def _place() -> tuple[sa.Column[int], sa.Column[int]]:
    return (
        sa.Column("epoch_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
    )


def _device_id() -> sa.Column[int]:
    return sa.Column("device_id", sa.BigInteger, nullable=False)


def _of_device(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=f"fk_{name}_device_id")


def _of_epoch(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name=f"fk_{name}_epoch_id")
