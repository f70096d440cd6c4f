"""What the sections of a benchmark found, as one document or as tables; each brings its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from rich.table import Table

from benchmarks.lib.processor import Processor
from benchmarks.lib.program import versions
from benchmarks.lib.tables import conditions
from builder.commands.printing import print_json, table_console


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one section found: `document` for programs, tables and remarks for people."""

    document: msgspec.Struct
    tables: list[Table]
    remarks: list[str] = field(default_factory=list)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a benchmark."""

    started_at: str
    processor: Processor
    versions: dict[str, str]
    #: By name of the section.
    sections: dict[str, msgspec.Struct]


def print_findings(
    findings: Mapping[str, Finding],
    *,
    started_at: str,
    processor: Processor,
    packages: Iterable[str],
    as_json: bool,
) -> None:
    """Print all sections, as one JSON document or as tables with what they were measured on."""
    report = Report(
        started_at=started_at,
        processor=processor,
        versions=versions(packages),
        sections={name: finding.document for name, finding in findings.items()},
    )
    if as_json:
        print_json(report)
        return
    console = table_console()
    for line in conditions(report.processor, report.versions):
        console.print(line, markup=False, highlight=False)
    for finding in findings.values():
        for table in finding.tables:
            console.print(table)
        for line in finding.remarks:
            console.print(line, markup=False, highlight=False)
