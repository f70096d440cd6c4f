"""What devices are expected to measure, as tables and in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from contract.interval import Interval
from edgewright.console import Table
from fleet.choosing.metric import BYTES_PER_MB
from fleet.predicting.forecast import Forecast, Prediction
from fleet.reports.table import plain_table

_ABSENT = "-"


def forecasts_table(forecasts: Sequence[Forecast]) -> Table:
    """A row a device: how far it is, and what to measure next."""
    table = plain_table(
        "device", "#measured", "#teachers", "#alike", "best measured", "#may change"
    )
    table.add_column("measure next", overflow="fold")
    for one in forecasts:
        table.add_row(
            f"{one.site}/{one.device}",
            f"{one.measured} of {one.possible}",
            str(one.teachers),
            str(one.kin),
            _ABSENT if one.present is None else str(one.present),
            _ABSENT if one.change is None else _percent(one.change),
            "everything" if one.obstacle else ", ".join(map(str, one.next)) or "nothing",
        )
    return table


def predictions_table(one: Forecast) -> Table:
    """A row a variant that one device has not measured: its predicted figures."""
    table = plain_table(
        "predicted", "#p50 ms", "95 % interval", "#p95 ms", "95 % interval", "#peak MB"
    )
    for heading in ("fails", "among the best", "changes the choice"):
        table.add_column(heading, justify="right")
    for row in one.predictions:
        table.add_row(str(row.ref), *_figures(row))
    return table


def forecast_lines(one: Forecast) -> Iterator[str]:
    """What a forecast says, in sentences."""
    name = f"{one.site}/{one.device}"
    yield f"{name}: measured {one.measured} of {one.possible}, under policy '{one.policy}'."
    if one.obstacle is not None:
        yield f"Nothing can be predicted: {one.obstacle}. Measure everything."
        return
    alike = f"{one.kin} of them with its processor" if one.kin else "none with its processor"
    yield f"Predicted from {one.teachers} devices, {alike}; nothing is rolled out by predictions."
    if one.kin == 0:
        yield "Where no device is like it, intervals may be too narrow."
    if one.unknown:
        yield f"Not predicted, for too few have run it: {', '.join(map(str, one.unknown))}."
    if one.change is not None:
        yield f"Something unmeasured is better than the best measured with chance {one.change:.0%}."
    if one.next:
        yield f"Measure next: {', '.join(map(str, one.next))}."
    else:
        yield "Measuring more would hardly change the choice."


def _figures(row: Prediction) -> Iterator[str]:
    yield f"{row.p50_ms:.4g}"
    yield _interval(row.p50_interval_ms)
    yield f"{row.p95_ms:.4g}"
    yield _interval(row.p95_interval_ms)
    yield f"{row.peak_rss_bytes / BYTES_PER_MB:.0f}"
    yield _percent(row.fails)
    yield _percent(row.among_best)
    yield _percent(row.changes)


def _interval(interval: Interval) -> str:
    return f"{interval.low:.4g} to {interval.high:.4g}"


def _percent(chance: float) -> str:
    return f"{chance:.0%}"
