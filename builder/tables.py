"""What a person sees of builds, sets and bundles, as tables."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box

from builder.data.standardization import Standardization
from builder.outcome import Outcome, Status
from builder.report.document import Report
from builder.report.verdicts import Cost
from builder.report.wording import percent, significant
from contract.bundleset import Member
from contract.manifest import Accuracy, AccuracyKind, Manifest, Pruning, Tuning
from edgewright.console import Table, styled

_MEGABYTE = 1_000_000
_STYLE = {
    Status.BUILT: "green",
    Status.UNCHANGED: "dim",
    Status.UNSUPPORTED: "yellow",
    Status.FAILED: "red",
}


def outcome_table(outcomes: Iterable[Outcome]) -> Table:
    """One row a variant: its figures and what became of it."""
    table = _figures_table()
    table.add_column("status")
    for outcome in outcomes:
        status = styled(outcome.status, _STYLE[outcome.status])
        if outcome.member is not None and outcome.manifest is not None:
            table.add_row(*_figures(outcome.member, outcome.manifest), status)
        else:
            table.add_row(outcome.variant, *[""] * 6, status)
    return table


def set_table(rows: Iterable[tuple[Member, Manifest]], baseline: str) -> Table:
    """One row a bundle of a set; the baseline is marked."""
    table = _figures_table()
    table.add_column("")
    for member, manifest in rows:
        mark = "baseline" if member.variant == baseline else ""
        table.add_row(*_figures(member, manifest), mark)
    return table


def manifest_table(manifest: Manifest, file_bytes: int) -> Table:
    """What a bundle says of itself, one property a row."""
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    pruning, tuning, quantization = manifest.pruning, manifest.tuning, manifest.quantization
    rule, made = manifest.preprocessing, manifest.provenance
    rows = {
        "variant": manifest.variant,
        "network": f"{manifest.architecture} (family {manifest.family})",
        "recipe": manifest.recipe,
        "input": f"{rule.input_size} px, cut from {rule.resize_size} px ({rule.interpolation})",
        "standardised": Standardization(mean=rule.mean, std=rule.std).words,
        "pruning": "none" if pruning is None else _pruning_text(pruning),
        "not pruned": "" if pruning is None else "; ".join(pruning.left_alone),
        "tuning": "none" if tuning is None else _tuning_text(tuning),
        "numbers": quantization.scheme
        + (
            ""
            if quantization.engine is None
            else f" for {quantization.engine}, {quantization.int8_mac_share:.1%} of the MACs"
        ),
        "kept in floats": ", ".join(quantization.float_layers),
        "classes": str(manifest.classes),
        "parameters": f"{manifest.parameters:,} ({manifest.active_parameters:,} not zero)",
        "MACs": f"{manifest.macs:,}",
        "weights": f"{manifest.state_dict_bytes:,} bytes",
        "file": f"{file_bytes:,} bytes, {manifest.format}",
        "accuracy": accuracy_text(manifest.accuracy),
        "proven on": f"torch {', '.join(manifest.torch_versions)}",
        "built": f"{made.built_at} by edgewright {made.edgewright}, torch {made.torch}",
        "from": f"{made.weights}; data {made.data}; seed {made.seed}",
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    return table


def block_table(manifest: Manifest) -> Table:
    """Parameters, bytes and MACs per block, with their sums."""
    table = Table("block", title=f"Blocks of {manifest.variant}")
    for column in ("parameters", "bytes", "MACs"):
        table.add_column(column, justify="right")
    for block in manifest.blocks:
        table.add_row(block.name, f"{block.parameters:,}", f"{block.bytes:,}", f"{block.macs:,}")
    table.add_section()
    table.add_row(
        "all",
        f"{sum(block.parameters for block in manifest.blocks):,}",
        f"{sum(block.bytes for block in manifest.blocks):,}",
        f"{sum(block.macs for block in manifest.blocks):,}",
    )
    return table


def report_table(report: Report) -> Table:
    """One row a variant of the report, what it saves of its own base, and the verdict on it."""
    is_timed = report.cost is Cost.LATENCY
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("variant", no_wrap=True, overflow="fold")
    for column in (
        "top-1",
        *(["p50 ms", "time saved"] if is_timed else []),
        "MACs saved",
        "size MB",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict")
    words = {judgement.variant: judgement.words for judgement in report.judgements}
    for entry in report.entries:
        on_front = entry.variant in report.fronts[report.cost]
        timed = [significant(entry.p50_ms or 0), _share(entry.time_saved_share)] if is_timed else []
        table.add_row(
            entry.variant,
            percent(entry.top1),
            *timed,
            _share(entry.macs_saved_share),
            f"{entry.bytes / _MEGABYTE:.1f}",
            words[entry.variant],
            style="bold" if on_front else None,
        )
    return table


def _share(saved: float | None) -> str:
    return "" if saved is None else f"{saved:.0%}"


def accuracy_text(accuracy: Accuracy) -> str:
    """Top-k in words, with what they were measured against."""
    against = (
        "agreement with the base"
        if accuracy.kind is AccuracyKind.AGREEMENT
        else f"{accuracy.images} labelled images"
    )
    return (
        f"top-1 {accuracy.top1:.1%}, top-3 {accuracy.top3:.1%}, top-5 {accuracy.top5:.1%} "
        f"({against} of {accuracy.dataset})"
    )


def _pruning_text(pruning: Pruning) -> str:
    text = f"{pruning.ratio:.0%} of the filters of {len(pruning.layers)} layers"
    if pruning.allotment != "uniform":
        text = f"{text}, allotted by {pruning.allotment}"
    if pruning.round_to > 1:
        text = f"{text}, in multiples of {pruning.round_to}"
    return f"{text}; ranked by {pruning.importance}"


def _tuning_text(tuning: Tuning) -> str:
    text = f"{tuning.epochs} epochs, {tuning.optimizer}, learning rate {tuning.learning_rate:g}"
    if tuning.distilled:
        text = f"{text}, by the base's answers"
    if tuning.rounds > 1:
        text = f"{text}, after {tuning.rounds} rounds of pruning"
    return text if tuning.input_size is None else f"{text}, last at {tuning.input_size} px"


def _figures_table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("variant", no_wrap=True, overflow="fold")
    for column in ("parameters", "MACs", "size MB", "input", "top-1", "top-3"):
        table.add_column(column, justify="right")
    return table


def _figures(member: Member, manifest: Manifest) -> list[str]:
    accuracy = manifest.accuracy
    mark = "~" if accuracy.kind is AccuracyKind.AGREEMENT else ""
    return [
        member.variant,
        f"{manifest.parameters:,}",
        f"{manifest.macs / 1e6:,.0f} M",
        f"{member.bytes / _MEGABYTE:.1f}",
        str(manifest.preprocessing.input_size),
        f"{mark}{accuracy.top1:.1%}",
        f"{mark}{accuracy.top3:.1%}",
    ]
