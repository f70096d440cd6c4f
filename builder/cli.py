"""The command line `edgewright-builder`: the group of its commands.

Torch takes seconds to import, so it is imported inside the commands that work with it.
"""

from __future__ import annotations

import logging
import signal
import sys

import click
from rich.logging import RichHandler

from builder.commands.build import build
from builder.commands.endings import complain
from builder.commands.inspect import inspect
from builder.commands.list import list_set
from builder.commands.report import report
from builder.commands.search import search
from builder.commands.train import train
from builder.errors import plain_words
from contract.exits import Exit
from edgewright.command_line import Program
from edgewright.console import Console
from edgewright.logging import LineFormatter


@click.group(
    cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("-v", "--verbose", is_flag=True, help="Say what is decided on the way.")
@click.version_option(package_name="edgewright")
@click.pass_context
def cli(context: click.Context, /, *, verbose: bool) -> None:
    """Turn one image classifier into many variants for edge boxes.

    ARCH is a torchvision classification network (resnet18, vgg19, inception_v3, ...) or
    package.module:factory for an nn.Module of your own; it is imported from the present
    folder or from what is installed, and may take num_classes.

    Exit codes: 0 done, 1 failed (also where a single variant could not be built), 2 wrong use.
    """
    # One console for bars, lines and the log, so that they do not write into each other.
    context.obj = Console(stderr=True)
    if context.obj.is_terminal:
        handler: logging.Handler = RichHandler(
            console=context.obj, show_time=False, show_path=False
        )
        handler.setFormatter(LineFormatter("%(message)s"))
    else:
        # In a file each message is one line that can be searched for.
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.captureWarnings(capture=True)
    logging.getLogger("builder").setLevel(logging.INFO if verbose else logging.WARNING)


for _command in (train, build, search, list_set, inspect, report):
    cli.add_command(_command)


def main() -> None:
    """Run the command line."""
    # A scratch file that is being written is removed on the way out.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(Exit.FAILED))
    try:
        cli.main(prog_name="edgewright-builder")
    except OSError as error:
        # What was made is made; what could not be written is, mostly, standard output.
        complain(plain_words(error) if error.filename else f"standard output: {error.strerror}")
        sys.exit(Exit.FAILED)
