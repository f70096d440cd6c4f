"""`edgewright-fleet export`: what the fleet knows, as a file for other programs."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

import click

from contract.files import replacing
from fleet.choosing.policy import load_policy
from fleet.commands.options import db_option, policy_option, refuse_unused
from fleet.commands.printing import print_lines
from fleet.errors import ExportError
from fleet.exporting.form import Form, form_of, write
from fleet.exporting.subject import (
    Source,
    Subject,
    devices_source,
    recommendations_source,
    results_source,
)
from fleet.store.database import Database, open_database
from fleet.store.history import WhichRuns, expect_variant
from fleet.store.roster import Which, expect_some

_STDOUT = "-"
#: Options that are of other subjects.
_OF_OTHERS = {
    Subject.RESULTS: {"policy_name"},
    Subject.DEVICES: {"policy_name", "variant", "since"},
    Subject.RECOMMENDATIONS: {"variant", "since"},
}


def _moment(_context: click.Context, _option: click.Parameter, given: str | None) -> float | None:
    if given is None:
        return None
    try:
        return datetime.fromisoformat(given).timestamp()
    except ValueError as error:
        message = f"expected a moment such as 2026-11-26 or 2026-11-26T08:30, got '{given}'"
        raise click.BadParameter(message) from error


@click.command()
@click.argument(
    "subject_name", metavar="SUBJECT", type=click.Choice([one.value for one in Subject])
)
@click.option(
    "--output",
    required=True,
    metavar="FILE",
    help="Where to; it appears whole or not at all. - is standard output.",
)
@click.option(
    "--format",
    "form_name",
    type=click.Choice([one.value for one in Form]),
    help="What the file is.  [default: by the end of its name]",
)
@click.option("--site", help="Of one site.")
@click.option("--device", help="Of the device of that name at its site, or SITE/DEVICE.")
@click.option("--variant", help="Results of one variant.")
@click.option(
    "--since",
    metavar="MOMENT",
    callback=_moment,
    help="Results received then or later: 2026-11-26, or 2026-11-26T08:30 by this machine's clock.",
)
@policy_option
@db_option
@click.pass_context
def export(
    context: click.Context,
    *,
    subject_name: str,
    output: str,
    form_name: str | None,
    site: str | None,
    device: str | None,
    variant: str | None,
    since: float | None,
    policy_name: str,
    store_url: str,
) -> None:
    """Write results, devices or recommendations as CSV, JSON, JSON lines or Parquet.

    CSV and Parquet have a column for each figure, with its unit in the name; lists of parts
    are in JSON alone. In CSV, text that a spreadsheet would run begins with a quote, and what
    is not seen is spelt out; the other forms hold every text as it came.
    """
    subject = Subject(subject_name)
    refuse_unused(context, _OF_OTHERS[subject], f"on {subject.value}")
    if output == _STDOUT and form_name is None:
        message = "standard output has no name to tell by; say which --format"
        raise click.UsageError(message)
    form = Form(form_name) if form_name else _form_by_name(output)
    site, device = _one_site(site, device)
    if output == _STDOUT and form is Form.PARQUET:
        message = "Parquet is written to a file, not to standard output"
        raise click.UsageError(message)
    database = open_database(store_url, create=False)
    _expect_names(database, Which(site=site, device=device), variant)
    if subject is Subject.RESULTS:
        runs = WhichRuns(site=site, device=device, variant=variant, since=since)
        source = results_source(database, runs)
    else:
        source = _of_devices(database, subject, Which(site=site, device=device), policy_name)
    _write(source, form, output)


def _expect_names(database: Database, which: Which, variant: str | None) -> None:
    """Refuse a name that nobody has: a misspelt one would make an empty file, and no error."""
    with database.reading() as connection:
        if which != Which():
            expect_some(connection, which)
        if variant is not None:
            expect_variant(connection, variant)


def _form_by_name(output: str) -> Form:
    try:
        return form_of(output)
    except ExportError as error:
        raise click.UsageError(str(error)) from error


def _one_site(site: str | None, device: str | None) -> tuple[str | None, str | None]:
    """Site and device, where the device's name may have brought its site along."""
    if device is None or "/" not in device:
        return site, device
    of_device, _, name = device.partition("/")
    if site not in (None, of_device):
        message = f"expected one site, got --site {site} and --device {device}"
        raise click.UsageError(message)
    return of_device, name


def _of_devices(database: Database, subject: Subject, which: Which, policy_name: str) -> Source:
    if subject is Subject.DEVICES:
        return devices_source(database, which, now=time.time())
    return recommendations_source(database, which, load_policy(policy_name), now=time.time())


def _write(source: Source, form: Form, output: str) -> None:
    if output == _STDOUT:
        write(source, form, sys.stdout.buffer, is_terminal=sys.stdout.isatty())
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    try:
        with replacing(path) as scratch, scratch.open("wb") as out:
            count = write(source, form, out)
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise ExportError(message) from error
    print_lines([f"{count} rows in {path}"], err=True)
