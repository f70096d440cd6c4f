"""`inspect`: what one bundle says of itself."""

from __future__ import annotations

from pathlib import Path

import click

from builder.commands.endings import errors_reported
from builder.commands.options import json_option
from builder.commands.printing import manifest_document, print_json, table_console
from builder.tables import block_table, manifest_table
from contract.bundle import read_manifest
from contract.bundleset import Member
from contract.files import sha256_of


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@json_option
def inspect(*, file: Path, as_json: bool) -> None:
    """Show a bundle's manifest, and parameters, bytes and MACs per block."""
    with errors_reported():
        manifest = read_manifest(file)
        size = file.stat().st_size
        if as_json:
            member = Member(
                variant=manifest.variant, file=file.name, bytes=size, sha256=sha256_of(file)
            )
            print_json(manifest_document(member, manifest))
            return
    console = table_console()
    console.print(manifest_table(manifest, size))
    console.print(block_table(manifest))
