"""Figures apart from the runs, what is current of each device, and decisions by reference.

Decisions held copies of all runs that they were based on. Runs stay as they are for ever, so
their places are enough.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_BATCH = 1000
_BUILD = (
    "variant", "sha256", "architecture", "scheme", "input_size", "baseline", "bytes", "macs",
    "top1", "top3", "top1_drop", "accuracy_images",
)  # fmt: skip
_RESULT = (
    "epoch_id", "seq", "build_id", "run_id", "body_sha256", "received_at", "variant", "threads",
    "status", "fingerprint", "set_id", "figures", "run",
)  # fmt: skip


def upgrade() -> None:
    """Add what is told of inventories, number the builds, and pack the figures."""
    for name in ("fingerprint", "set_id", "told_groups"):
        op.add_column("devices", sa.Column(name, sa.Text))
    op.add_column(
        "epochs", sa.Column("revision", sa.BigInteger, nullable=False, server_default="0")
    )
    for name in ("results", "decisions"):
        # A copy has no constraints, whose names would be in the way of the new ones.
        op.execute(f"CREATE TABLE old_{name} AS SELECT * FROM {name}")  # noqa: S608 - our own names
        op.drop_table(name)
    _build()
    connection = op.get_bind()
    _copy_inventories(connection)
    connection.execute(sa.text("UPDATE epochs SET revision = 1"))
    _copy_results(connection)
    _copy_decisions(connection)
    for name in ("results", "decisions"):
        op.drop_table(f"old_{name}")


def _build() -> None:
    op.create_table(
        "builds",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("build", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_builds"),
        sa.UniqueConstraint("digest", name="uq_builds_digest"),
        comment="What is the same for every run of one build of a variant.",
    )
    op.create_table(
        "results",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("epoch_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("build_id", sa.BigInteger, nullable=False),
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
        sa.PrimaryKeyConstraint("id", name="pk_results"),
        sa.UniqueConstraint("epoch_id", "seq", name="uq_results_epoch_id_seq"),
        sa.ForeignKeyConstraint(["epoch_id"], ["epochs.id"], name="fk_results_epoch_id"),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name="fk_results_build_id"),
    )
    op.create_table(
        "standings",
        _device_id(),
        sa.Column("told_fingerprint", sa.Text, comment="by the inventory that was gone by"),
        sa.Column("told_set_id", sa.Text),
        sa.Column("fingerprint", sa.Text, comment="of the current runs"),
        sa.Column("set_id", sa.Text),
        sa.Column("revision", sa.BigInteger, nullable=False, comment="of all outboxes together"),
        sa.Column("last_result_id", sa.BigInteger, nullable=False),
        sa.Column("current_runs", sa.BigInteger, nullable=False),
        sa.Column("stale_runs", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False, comment="packed, a run an entry"),
        sa.PrimaryKeyConstraint("device_id", name="pk_standings"),
        _of_device("standings"),
        comment="Latest current run of each variant and thread count: all that choosing looks at.",
    )
    op.create_table(
        "terms",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("terms", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_terms"),
        sa.UniqueConstraint("digest", name="uq_terms_digest"),
        comment="Policies as they held for a device.",
    )
    op.create_table(
        "decisions",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        _device_id(),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Float, nullable=False),
        sa.Column("digest", sa.Text, nullable=False, comment="of all that was decided on"),
        sa.Column("terms_id", sa.BigInteger, nullable=False),
        sa.Column("places", sa.LargeBinary, nullable=False, comment="packed: runs decided on"),
        sa.Column("stale_runs", sa.BigInteger, nullable=False),
        sa.Column("present_build_id", sa.BigInteger, comment="what was chosen before"),
        sa.Column("present_threads", sa.BigInteger),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("build_id", sa.BigInteger),
        sa.Column("threads", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        _of_device("decisions"),
        sa.ForeignKeyConstraint(["terms_id"], ["terms.id"], name="fk_decisions_terms_id"),
    )
    op.create_index("ix_decisions_device_id_policy_id", "decisions", ["device_id", "policy", "id"])
    op.create_table(
        "choices",
        _device_id(),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("decision_id", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("build_id", sa.BigInteger),
        sa.Column("threads", sa.BigInteger),
        sa.PrimaryKeyConstraint("device_id", "policy", name="pk_choices"),
        _of_device("choices"),
        comment="The latest decision for each device under each policy.",
    )


def _copy_inventories(connection: sa.Connection) -> None:
    rows = connection.execute(
        sa.text("SELECT id, inventory FROM devices WHERE inventory IS NOT NULL")
    ).all()
    for number, text in rows:
        told = msgspec.json.decode(text)
        groups = told.get("groups") or None
        connection.execute(
            sa.text(
                "UPDATE devices SET fingerprint = :fingerprint, set_id = :set_id, "
                "told_groups = :groups WHERE id = :id"
            ),
            {
                "id": number,
                "fingerprint": told.get("fingerprint"),
                "set_id": told.get("set_id"),
                "groups": groups and _text(groups),
            },
        )


def _copy_results(connection: sa.Connection) -> None:
    builds: dict[str, int] = {}
    marks = ", ".join(f":{name}" for name in _RESULT)
    insertion = sa.text(
        f"INSERT INTO results ({', '.join(_RESULT)}) VALUES ({marks})"  # noqa: S608 - our own names
    )
    for rows in _batches(connection, "old_results"):
        copies = []
        for row in rows:
            run = msgspec.json.decode(row["run"])
            interval = row["p95_ci_low_ms"], row["p95_ci_high_ms"]
            copy = {name: row[name] for name in _RESULT if name in row}
            copy["build_id"] = _number(connection, builds, "build", _build_text(run))
            copy["figures"] = _figures(run, interval)
            copies.append(copy)
        connection.execute(insertion, copies)


def _copy_decisions(connection: sa.Connection) -> None:
    """Bring over the decisions whose runs are all found."""
    kept: dict[str, int] = {}
    latest: dict[tuple[int, str], dict[str, Any]] = {}
    for rows in _batches(connection, "old_decisions"):
        for row in rows:
            decision = _decision(connection, kept, row)
            if decision is not None:
                latest[decision["device_id"], decision["policy"]] = decision
    for decision in latest.values():
        connection.execute(
            sa.text(
                "INSERT INTO choices (device_id, policy, decision_id, digest, status, build_id, "
                "threads) VALUES (:device_id, :policy, :id, :digest, :status, :build_id, :threads)"
            ),
            decision,
        )
    if connection.dialect.name == "postgresql":
        # Numbers that were given do not move PostgreSQL's own counting.
        connection.execute(
            sa.text(
                "SELECT setval(pg_get_serial_sequence('decisions', 'id'), "
                "COALESCE(MAX(id), 1)) FROM decisions"
            )
        )


def _decision(
    connection: sa.Connection, kept: dict[str, int], row: dict[str, Any]
) -> dict[str, Any] | None:
    inputs, outcome = msgspec.json.decode(row["inputs"]), msgspec.json.decode(row["outcome"])
    device_id = connection.scalar(
        sa.text("SELECT id FROM devices WHERE site = :site AND device = :device"),
        {"site": row["site"], "device": row["device"]},
    )
    runs = connection.execute(
        sa.text(
            "SELECT r.run_id, r.variant, r.threads, r.epoch_id, r.seq, r.build_id, r.received_at, "
            "r.figures FROM results r JOIN epochs e ON e.id = r.epoch_id "
            "WHERE e.device_id = :device_id ORDER BY r.id"
        ),
        {"device_id": device_id},
    ).all()
    by_run = {(run.run_id, run.variant, run.threads): run for run in runs}
    wanted = [(one["run_id"], one["variant"], one["threads"]) for one in inputs["candidates"]]
    if device_id is None or not by_run.keys() >= set(wanted):
        return None
    found = [by_run[key] for key in wanted]
    builds = {
        (one["variant"], one["threads"], one["sha256"]): run.build_id
        for one, run in zip(inputs["candidates"], found, strict=True)
    }
    by_ref = {key[:2]: number for key, number in builds.items()}
    pick, present = outcome.get("pick"), inputs.get("incumbent")
    present_ref = present and (present["ref"]["variant"], present["ref"]["threads"])
    decision = {
        # Desired states refer to it.
        "id": row["id"],
        "device_id": device_id,
        "policy": row["policy"],
        "decided_at": row["decided_at"],
        "digest": _digest(inputs, found),
        "terms_id": _number(connection, kept, "terms", _text(inputs["terms"])),
        "places": b"".join(struct.pack("<qq", one.epoch_id, one.seq) for one in found),
        "stale_runs": inputs["stale_runs"],
        "present_build_id": present_ref and builds.get((*present_ref, present["sha256"])),
        "present_threads": present_ref and present_ref[1],
        "status": outcome["status"],
        "build_id": pick and by_ref.get((pick["variant"], pick["threads"])),
        "threads": pick and pick["threads"],
    }
    names = list(decision)
    connection.execute(
        sa.text(
            f"INSERT INTO decisions ({', '.join(names)}) "  # noqa: S608 - our own names
            f"VALUES ({', '.join(f':{name}' for name in names)})"
        ),
        decision,
    )
    return decision


def _digest(inputs: dict[str, Any], runs: list[Any]) -> str:
    terms_digest = hashlib.sha256(_text(inputs["terms"]).encode()).hexdigest()
    told = hashlib.sha256(f"{terms_digest} {inputs['stale_runs']} ".encode())
    for one in runs:
        where = one.build_id, one.threads, one.epoch_id, one.seq, one.received_at
        told.update(struct.pack("<qqqqd", *where) + bytes(one.figures))
    return told.hexdigest()


def _batches(connection: sa.Connection, table: str) -> Iterator[list[dict[str, Any]]]:
    """Rows of a table in the order of their numbers, so many at a time."""
    last = 0
    while True:
        rows = connection.execute(
            sa.text(f"SELECT * FROM {table} WHERE id > :last ORDER BY id LIMIT :count"),  # noqa: S608
            {"last": last, "count": _BATCH},
        ).mappings()
        found = [dict(row) for row in rows]
        if not found:
            return
        yield found
        last = found[-1]["id"]


def _number(connection: sa.Connection, known: dict[str, int], kind: str, text: str) -> int:
    """Number of a build or of terms, which gets one where it has none."""
    if text not in known:
        table = "builds" if kind == "build" else "terms"
        number = len(known) + 1
        connection.execute(
            sa.text(f"INSERT INTO {table} (digest, {kind}) VALUES (:digest, :text)"),  # noqa: S608
            {"digest": hashlib.sha256(text.encode()).hexdigest(), "text": text},
        )
        known[text] = number
    return known[text]


def _build_text(run: dict[str, Any]) -> str:
    return _text({name: run.get(name) for name in _BUILD})


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _figures(run: dict[str, Any], interval: tuple[float | None, float | None]) -> bytes:
    golden = run.get("golden") or {}
    values = (
        run["status"] == "ok" and bool(golden.get("ok")),
        run.get("n", 0),
        run.get("processes"),
        run.get("p50_ms"),
        run.get("p95_ms"),
        run.get("ci_low_ms"),
        run.get("ci_high_ms"),
        *interval,
        run.get("load_ms"),
        run.get("first_ms"),
        run.get("energy_mj"),
        run.get("speedup"),
        run.get("peak_rss_bytes"),
    )
    return struct.pack(f"<{len(values)}d", *[math.nan if one is None else one for one in values])


def _device_id() -> sa.Column[int]:
    return sa.Column("device_id", sa.BigInteger, autoincrement=False, nullable=False)


def _of_device(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=f"fk_{name}_device_id")
