"""`list`: the bundles of a set, each checked."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from builder.commands.endings import complain, errors_reported
from builder.commands.options import json_option
from builder.commands.printing import manifest_document, print_json, table_console
from builder.tables import set_table
from contract.bundle import read_manifest
from contract.bundleset import Member, read_set, verify_member
from contract.errors import BundleError
from contract.exits import Exit
from contract.manifest import Manifest


@click.command("list")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
def list_set(*, folder: Path, as_json: bool) -> None:
    """List the bundles of the set in DIR, each checked against its SHA-256."""
    rows: list[tuple[Member, Manifest]] = []
    damaged = False
    with errors_reported():
        bundle_set = read_set(folder)
        for member in bundle_set.members:
            try:
                rows.append((member, read_manifest(verify_member(folder, member))))
            except BundleError as error:
                damaged = True
                complain(str(error))
    if as_json:
        print_json([manifest_document(member, manifest) for member, manifest in rows])
    else:
        table_console().print(set_table(rows, bundle_set.baseline))
    if damaged:
        sys.exit(Exit.FAILED)
