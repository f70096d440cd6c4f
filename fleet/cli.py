"""The command line `edgewright-fleet`; the only place here that prints or exits."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NoReturn

import click

from contract.errors import BrokerUrlError, GroupError, TopicError
from contract.exits import Exit
from edgewright.command_line import Program, complain
from fleet.errors import (
    AddressError,
    DeployError,
    FleetError,
    OrderError,
    PlanError,
    PolicyError,
    TokenError,
    UnknownDecisionError,
    UnknownDeviceError,
    UnknownMessageError,
    UnknownVariantError,
)

_WRONG_USE = (
    AddressError,
    BrokerUrlError,
    GroupError,
    OrderError,
    PlanError,
    PolicyError,
    TokenError,
    TopicError,
    UnknownDecisionError,
    UnknownDeviceError,
    UnknownMessageError,
    UnknownVariantError,
)
#: What was wrong at several places, and what a box said last.
_HAVE_LINES = (PolicyError, DeployError)

#: Where each command stands. It is imported when it is asked for: all of them together take a
#: second.
_COMMANDS = {
    "api": "fleet.commands.api:api",
    "apply": "fleet.commands.apply:apply_command",
    "ask": "fleet.commands.ask:ask_command",
    "backup": "fleet.commands.backup:backup",
    "broker-config": "fleet.commands.broker_config:broker_config",
    "conform": "fleet.commands.conform:conform",
    "deploy": "fleet.commands.deploy:deploy",
    "devices": "fleet.commands.devices:devices",
    "enroll": "fleet.commands.enroll:enroll",
    "enrolled": "fleet.commands.enrolled:enrolled",
    "explain": "fleet.commands.explain:explain",
    "export": "fleet.commands.export:export",
    "group": "fleet.commands.group:group",
    "policies": "fleet.commands.policies:policies",
    "predict": "fleet.commands.predict:predict",
    "quarantine": "fleet.commands.quarantine:quarantine",
    "recommendations": "fleet.commands.recommendations:recommendations",
    "restore": "fleet.commands.backup:restore_command",
    "results": "fleet.commands.results:results",
    "retain": "fleet.commands.retain:retain",
    "revoke": "fleet.commands.enroll:revoke",
    "serve": "fleet.commands.serve:serve",
    "simulate": "fleet.commands.simulate:simulate",
    "token": "fleet.commands.token:token",
    "whatif": "fleet.commands.whatif:whatif",
}


class _Group(Program):
    """Finds commands by name, and turns the fleet's errors into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        try:
            return super().invoke(ctx)
        except _WRONG_USE as error:
            _fail(error, Exit.WRONG_USE)
        except FleetError as error:
            _fail(error, Exit.FAILED)


def _fail(error: Exception, code: Exit) -> NoReturn:
    complain("edgewright-fleet", str(error), has_lines=isinstance(error, _HAVE_LINES))
    raise SystemExit(int(code))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Collect what devices measure, and pick the best variant for each of them.

    Exit codes: 0 done, 1 failed, 2 wrong use. A nearest miss is an answer, not a failure.
    """


def main() -> None:
    """Entry point; exits the process."""
    cli(prog_name="edgewright-fleet")
