"""The command line `edgewright-fleet`; the only place here that prints or exits."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from contract.errors import BrokerUrlError, TopicError
from contract.exits import Exit
from fleet.commands.api import api
from fleet.commands.apply import apply_command
from fleet.commands.ask import ask_command
from fleet.commands.backup import backup, restore_command
from fleet.commands.broker_config import broker_config
from fleet.commands.conform import conform
from fleet.commands.deploy import deploy
from fleet.commands.devices import devices
from fleet.commands.enroll import enroll, revoke
from fleet.commands.explain import explain
from fleet.commands.export import export
from fleet.commands.group import group
from fleet.commands.policies import policies
from fleet.commands.predict import predict
from fleet.commands.quarantine import quarantine
from fleet.commands.recommendations import recommendations
from fleet.commands.results import results
from fleet.commands.retain import retain
from fleet.commands.serve import serve
from fleet.commands.simulate import simulate
from fleet.commands.token import token
from fleet.commands.whatif import whatif
from fleet.errors import (
    AddressError,
    FleetError,
    OrderError,
    PlanError,
    PolicyError,
    TokenError,
    UnknownDecisionError,
    UnknownDeviceError,
    UnknownMessageError,
)

_WRONG_USE = (
    AddressError,
    BrokerUrlError,
    OrderError,
    PlanError,
    PolicyError,
    TokenError,
    TopicError,
    UnknownDecisionError,
    UnknownDeviceError,
    UnknownMessageError,
)


class _Group(click.Group):
    """Turns the fleet's errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        try:
            return super().invoke(ctx)
        except _WRONG_USE as error:
            _fail(error, Exit.WRONG_USE)
        except FleetError as error:
            _fail(error, Exit.FAILED)


def _fail(error: Exception, code: Exit) -> NoReturn:
    click.echo(f"edgewright-fleet: {error}", err=True)
    raise SystemExit(int(code))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Collect what devices measure, and pick the best variant for each of them.

    Exit codes: 0 done, 1 failed, 2 wrong use. A nearest miss is an answer, not a failure.
    """


for _command in (
    api,
    serve,
    enroll,
    revoke,
    deploy,
    broker_config,
    conform,
    devices,
    results,
    recommendations,
    explain,
    apply_command,
    ask_command,
    whatif,
    predict,
    quarantine,
    group,
    policies,
    simulate,
    retain,
    backup,
    restore_command,
    export,
    token,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point; exits the process."""
    cli(prog_name="edgewright-fleet")
