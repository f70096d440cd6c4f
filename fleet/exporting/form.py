"""Forms of a file: CSV (RFC 4180), JSON, JSON lines, Parquet; each written as rows come."""

from __future__ import annotations

import csv
import enum
import io
from collections.abc import Sequence
from typing import IO, Any

from edgewright.json_text import json_text
from edgewright.spreadsheet import CELL_BREAKS, spreadsheet_text
from fleet.errors import ExportError
from fleet.exporting.column import Cell, Column, Kind
from fleet.exporting.subject import Source

#: Rows of one group in a Parquet file: large enough to compress, small enough to hold.
_GROUP_ROWS = 20_000


class Form(enum.StrEnum):
    """What the file is."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"


def write(source: Source, form: Form, out: IO[bytes], *, is_terminal: bool = False) -> int:
    """Write every row and say how many; holds one page, or one group of a Parquet file.

    Args:
        source: the rows.
        form: how they are written.
        out: where to.
        is_terminal: `out` is shown to a person, so that a row of CSV is one line.

    Raises:
        ExportError: Parquet without its library.
        OSError: `out` takes no more.
    """
    match form:
        case Form.CSV:
            return _write_csv(source, out, kept="" if is_terminal else CELL_BREAKS)
        case Form.JSON:
            return _write_json(source, out)
        case Form.NDJSON:
            return _write_ndjson(source, out)
        case Form.PARQUET:
            return _write_parquet(source, out)


def _write_csv(source: Source, out: IO[bytes], *, kept: str) -> int:
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(text)
    writer.writerow([column.name for column in source.columns])
    count = 0
    for page in source.pages:
        writer.writerows([_shown(cell, kept) for cell in source.cells(row)] for row in page)
        count += len(page)
    text.flush()
    text.detach()
    return count


def _shown(cell: Cell, kept: str) -> Cell:
    if isinstance(cell, str):
        # Whatever a device tells, nobody's spreadsheet runs it.
        return spreadsheet_text(cell, kept=kept)
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell


def _write_json(source: Source, out: IO[bytes]) -> int:
    count = 0
    out.write(b"[")
    for page in source.pages:
        for row in page:
            out.write((b",\n" if count else b"\n") + json_text(source.document(row)))
            count += 1
    out.write(b"\n]\n")
    return count


def _write_ndjson(source: Source, out: IO[bytes]) -> int:
    count = 0
    for page in source.pages:
        out.writelines(json_text(source.document(row)) + b"\n" for row in page)
        count += len(page)
    return count


def _write_parquet(source: Source, out: IO[bytes]) -> int:
    try:
        import pyarrow  # noqa: PLC0415, ICN001 - large, and of an extra of its own
        import pyarrow.parquet  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        message = "Parquet needs pyarrow: pip install 'edgewright[export]'"
        raise ExportError(message) from error
    kinds = {
        Kind.TEXT: pyarrow.string(),
        Kind.INTEGER: pyarrow.int64(),
        Kind.NUMBER: pyarrow.float64(),
        Kind.FLAG: pyarrow.bool_(),
    }
    schema = pyarrow.schema([(column.name, kinds[column.kind]) for column in source.columns])
    count, waiting = 0, 0
    held: list[Any] = []
    with pyarrow.parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for page in source.pages:
            columns = zip(*(source.cells(row) for row in page), strict=True)
            arrays = [
                pyarrow.array([_typed(cell, column) for cell in cells], field.type)
                for column, cells, field in zip(source.columns, columns, schema, strict=True)
            ]
            held.append(pyarrow.record_batch(arrays, schema=schema))
            waiting += len(page)
            count += len(page)
            if waiting >= _GROUP_ROWS:
                writer.write_table(pyarrow.Table.from_batches(held))
                held, waiting = [], 0
        if held:
            writer.write_table(pyarrow.Table.from_batches(held))
    return count


def _typed(cell: Cell, column: Column) -> Cell:
    if column.kind is Kind.NUMBER and isinstance(cell, int):
        return float(cell)
    return cell


def form_of(name: str) -> Form:
    """The form that the suffix of a file's name stands for.

    Raises:
        ExportError: it stands for none.
    """
    suffix = name.rpartition(".")[2].lower()
    known: Sequence[str] = [one.value for one in Form]
    if suffix not in known:
        message = f"output '{name}': expected a name that ends in .{', .'.join(known)}, or --format"
        raise ExportError(message)
    return Form(suffix)
