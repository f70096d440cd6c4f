"""The tables of the fleet store.

Times are seconds since 1970 by the fleet's own clock unless a column says otherwise. JSON
columns hold contract types, encoded by msgspec.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    },
)

#: SQLite numbers rows by itself only for a column of exactly this type.
_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _device_id(*, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        "device_id",
        sa.BigInteger,
        sa.ForeignKey("devices.id"),
        primary_key=primary_key,
        autoincrement=False,
        nullable=False,
    )


def _epoch_id(*, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        "epoch_id",
        sa.BigInteger,
        sa.ForeignKey("epochs.id"),
        primary_key=primary_key,
        autoincrement=False,
        nullable=False,
    )


def _seq(*, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        "seq", sa.BigInteger, primary_key=primary_key, autoincrement=False, nullable=False
    )


facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    comment="What is true of the store itself: its identity.",
)

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
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
    # Of the inventory, once more: what is asked of every device at once.
    sa.Column("fingerprint", sa.Text),
    sa.Column("set_id", sa.Text),
    sa.Column("told_groups", sa.Text),
    sa.Column("returns", sa.BigInteger, comment="times that an earlier boot was heard again"),
    sa.Column("returned_at", sa.Float),
    sa.UniqueConstraint("site", "device"),
    # Who is online is asked every few seconds; the rows themselves hold whole inventories.
    sa.Index(None, "presence"),
)

memberships = sa.Table(
    "memberships",
    metadata,
    _device_id(primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    comment="Groups by the operator; devices tell of others in their inventory.",
)

epochs = sa.Table(
    "epochs",
    metadata,
    sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    _device_id(),
    sa.Column("epoch", sa.Text, nullable=False),
    sa.Column("through", sa.BigInteger, nullable=False),
    sa.Column("islands", sa.Text, nullable=False, comment="closed ranges beyond through"),
    sa.Column("first_seen_at", sa.Float, nullable=False),
    # Rises with everything that is stored or closed: readers see what they have not seen.
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("advanced_at", sa.Float, comment="when a place was closed last"),
    sa.Column("returns", sa.BigInteger, comment="times that it advanced after a later one"),
    sa.Column("returned_at", sa.Float),
    sa.UniqueConstraint("device_id", "epoch"),
)

builds = sa.Table(
    "builds",
    metadata,
    sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("build", sa.Text, nullable=False),
    sa.UniqueConstraint("digest"),
    comment="What is the same for every run of one build of a variant.",
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    _epoch_id(),
    _seq(),
    sa.Column("build_id", sa.BigInteger, sa.ForeignKey("builds.id"), nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("body_sha256", sa.Text, nullable=False),
    sa.Column("received_at", sa.Float, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("threads", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("set_id", sa.Text, nullable=False),
    sa.Column("figures", sa.LargeBinary, nullable=False, comment="packed, for choosing"),
    sa.Column("run", sa.Text, nullable=False, comment="the run without its raw samples"),
    # The only index: each one that is not in the order of arrival costs more with every result.
    sa.UniqueConstraint("epoch_id", "seq"),
)

repeatable = sa.Table(
    "repeatable",
    metadata,
    _device_id(primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    _epoch_id(primary_key=True),
    _seq(),
    comment="Runs of devices that have had several outboxes, and may bring one twice.",
)

samples = sa.Table(
    "samples",
    metadata,
    _epoch_id(primary_key=True),
    _seq(primary_key=True),
    sa.Column("latencies_ms", sa.LargeBinary, nullable=False, comment="float64, little-endian"),
)

rollups = sa.Table(
    "rollups",
    metadata,
    _epoch_id(primary_key=True),
    _seq(primary_key=True),
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
    comment="What is kept of raw samples that are not.",
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    _epoch_id(primary_key=True),
    _seq(primary_key=True),
    sa.Column("last_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("received_at", sa.Float, nullable=False),
)

rejections = sa.Table(
    "rejections",
    metadata,
    _epoch_id(primary_key=True),
    _seq(primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("rejected_at", sa.Float, nullable=False),
)

disputes = sa.Table(
    "disputes",
    metadata,
    _epoch_id(primary_key=True),
    _seq(primary_key=True),
    sa.Column("last_at", sa.Float, nullable=False),
    comment="Places for which other bytes came than are stored.",
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
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
    sa.UniqueConstraint("topic", "payload_sha256"),
    sa.Index(None, "site", "device"),
)

standings = sa.Table(
    "standings",
    metadata,
    _device_id(primary_key=True),
    sa.Column("told_fingerprint", sa.Text, comment="by the inventory that was gone by"),
    sa.Column("told_set_id", sa.Text),
    sa.Column("fingerprint", sa.Text, comment="of the current runs"),
    sa.Column("set_id", sa.Text),
    sa.Column("revision", sa.BigInteger, nullable=False, comment="of all outboxes together"),
    sa.Column("last_result_id", sa.BigInteger, nullable=False),
    sa.Column("current_runs", sa.BigInteger, nullable=False),
    sa.Column("stale_runs", sa.BigInteger, nullable=False),
    sa.Column("entries", sa.LargeBinary, nullable=False, comment="packed, a run an entry"),
    comment="Latest current run of each variant and thread count: all that choosing looks at.",
)

terms = sa.Table(
    "terms",
    metadata,
    sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("terms", sa.Text, nullable=False),
    sa.UniqueConstraint("digest"),
    comment="Policies as they held for a device.",
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    _device_id(),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("decided_at", sa.Float, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, comment="of all that was decided on"),
    sa.Column("terms_id", sa.BigInteger, sa.ForeignKey("terms.id"), nullable=False),
    sa.Column("places", sa.LargeBinary, nullable=False, comment="packed: runs decided on"),
    sa.Column("stale_runs", sa.BigInteger, nullable=False),
    sa.Column("present_build_id", sa.BigInteger, comment="what was chosen before"),
    sa.Column("present_threads", sa.BigInteger),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("build_id", sa.BigInteger),
    sa.Column("threads", sa.BigInteger),
    sa.Index(None, "device_id", "policy", "id"),
)

choices = sa.Table(
    "choices",
    metadata,
    _device_id(primary_key=True),
    sa.Column("policy", sa.Text, primary_key=True),
    sa.Column("decision_id", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("build_id", sa.BigInteger),
    sa.Column("threads", sa.BigInteger),
    comment="The latest decision for each device under each policy.",
)

desired = sa.Table(
    "desired",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("device", sa.Text, primary_key=True),
    sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("decision_id", sa.BigInteger, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False, comment="of the token, which is kept nowhere"),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Column("last_used_on", sa.Text, comment="day, UTC"),
    sa.UniqueConstraint("sha256"),
    comment="Who may use the API.",
)
