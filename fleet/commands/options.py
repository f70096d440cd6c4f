"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from fleet.choosing.policy import DEFAULT_POLICY
from fleet.logs import LogFormat
from fleet.places import default_authority, default_store_url

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _chosen_store(context: click.Context, option: click.Parameter, given: str | None) -> str:
    """Store by a command's own option, then by that of the group it is in, then by default."""
    source = context.get_parameter_source(option.name or "")
    if context.obj is not None and source is not ParameterSource.COMMANDLINE:
        return str(context.obj)
    # An empty variable is as good as none.
    return given or default_store_url(os.environ)


def refuse_unused(context: click.Context, names: Collection[str], where: str) -> None:
    """Refuse options that were typed and have no effect in this use of the command.

    Args:
        context: of the command.
        names: of the options, as its parameters are called.
        where: when they have none, such as 'with --decision'.

    Raises:
        click.UsageError: one was typed.
    """
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in names and source is ParameterSource.COMMANDLINE:
            message = f"{option.opts[-1]} has no effect {where}; leave it out"
            raise click.UsageError(message)


def db_option(command: _Command) -> _Command:
    """`--db`: which store."""
    return click.option(
        "--db",
        "store_url",
        envvar="EDGEWRIGHT_DB",
        metavar="URL",
        callback=_chosen_store,
        help="The fleet store: sqlite:///PATH or postgresql://USER@HOST/DATABASE.  [default: "
        "edgewright/fleet.db in the user's data folder; env: EDGEWRIGHT_DB]",
    )(command)


def broker_option(command: _Command) -> _Command:
    """`--broker URL`: where devices are connected."""
    return click.option(
        "--broker",
        "broker_url",
        envvar="EDGEWRIGHT_BROKER",
        default="mqtt://127.0.0.1:1883",
        show_default=True,
        metavar="URL",
        help="Where the devices are connected.  [env: EDGEWRIGHT_BROKER]",
    )(command)


def authority_option(command: _Command) -> _Command:
    """`--authority`: the folder with certificates and accounts."""
    return click.option(
        "--authority",
        "authority_folder",
        envvar="EDGEWRIGHT_AUTHORITY",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        default=lambda: default_authority(os.environ),
        help="Certificates and accounts of this fleet, used wherever there is TLS.  [default: "
        "edgewright/authority in the user's data folder; env: EDGEWRIGHT_AUTHORITY]",
    )(command)


def json_option(command: _Command) -> _Command:
    """`--json`: one document on standard output."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document instead of a table."
    )(command)


def log_format_option(command: _Command) -> _Command:
    """`--log-format`: of the lines on standard error."""
    return click.option(
        "--log-format",
        type=click.Choice([one.value for one in LogFormat]),
        callback=lambda _context, _option, given: LogFormat(given),
        default=LogFormat.TEXT.value,
        show_default=True,
        help="How the log on standard error looks: json is one object a line.",
    )(command)


def policy_option(command: _Command) -> _Command:
    """`--policy`: by name or file."""
    return click.option(
        "--policy",
        "policy_name",
        default=DEFAULT_POLICY,
        show_default=True,
        metavar="NAME|FILE",
        help="A ready policy (see 'edgewright-fleet policies') or a TOML file.",
    )(command)
