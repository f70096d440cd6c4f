"""The command `edgewright-agent run`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from agent.config import EXAMPLE, LOG_LEVELS, load_config
from agent.ending import clear_errors, stop_on_signals
from agent.logs import start_logging
from contract.exits import Exit

#: The keys are explained once, where they are defined; click reads \b as "keep these lines".
_CONFIG_HELP = f"""\b
FILE, with all that can be said in it:

\b
{EXAMPLE}"""


@click.command(epilog=_CONFIG_HELP)
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="TOML file, explained below.",
)
@click.option("--once", is_flag=True, help="Measure once, deliver everything, then end.")
@click.option("--broker", metavar="URL", help="Replaces broker of the file.")
@click.option("--bundles", metavar="DIR", help="Replaces bundles of the file.")
@click.option("--state-dir", metavar="DIR", help="Replaces state_dir of the file.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="Replaces log_level of the file.")
def run(
    config_path: Path,
    *,
    once: bool,
    broker: str | None,
    bundles: str | None,
    state_dir: str | None,
    log_level: str | None,
) -> None:
    """Measure this device's bundle set and deliver the results to the fleet.

    It announces the device to the broker, measures every variant, and keeps each result
    until the fleet says that it is stored. Where the broker is away it goes on measuring
    and delivers later. It measures again when the set or the environment changes, and
    makes the variant that the fleet desires its active one. SIGTERM ends it cleanly.

    """
    flags = {"broker": broker, "bundles": bundles, "state_dir": state_dir, "log_level": log_level}
    # SQLite, MQTT and the rest of a daemon are for this command only.
    from agent.bell import Bell  # noqa: PLC0415
    from agent.daemon import Daemon  # noqa: PLC0415
    from agent.systemd import Notifier  # noqa: PLC0415

    bell = Bell()
    stop = stop_on_signals(bell.ring)
    with clear_errors():
        config = load_config(config_path, environment=os.environ, flags=flags)
        start_logging(config.log_level, config.log_path)
        notifier = Notifier.from_environment(os.environ, pid=os.getpid())
        Daemon(config, stop=stop, bell=bell, notifier=notifier).run(once=once)
    sys.exit(Exit.DONE)
