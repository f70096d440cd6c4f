"""The command `edgewright-agent serve`."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from agent.activation import STANDING_NAME
from agent.config import DEFAULT_PORT, LOG_LEVELS, load_config
from agent.ending import clear_errors, stop_at_end_of, stop_on_signals
from agent.errors import AgentError
from agent.logs import start_logging
from agent.serving.report import ServingReport
from contract.exits import Exit
from contract.settings import LOOPBACK
from edgewright.command_line import print_lines

if TYPE_CHECKING:
    from agent.serving.server import Server

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--bundles", "folder", metavar="DIR", type=_FOLDER, help="Bundle set.")
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file of 'run': what it says of serving is used where no option says otherwise.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="State folder of 'run', which keeps the active variant.",
)
@click.option("--variant", metavar="NAME", help="Serve this one, whatever is active.")
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    help="0 takes a free one. [default: 8080]",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Let --host be reached from other machines. There is no authentication.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="CPU threads of one inference. [default: what the fleet chose, else 1]",
)
@click.option(
    "--top",
    type=click.IntRange(min=1, max=1000),
    default=5,
    show_default=True,
    help="Classes of an answer where the request does not say.",
)
@click.option(
    "--fast-decode",
    is_flag=True,
    help="Decode large JPEGs at a half, a quarter or an eighth of their size, never below twice "
    "what the network needs. Answers may differ a little from those of 'predict'.",
)
@click.option(
    "--memory-limit-mb",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MB",
    help="Memory of the worker, in 10^6 bytes; one that holds more is replaced.",
)
@click.option(
    "--supervised",
    is_flag=True,
    hidden=True,
    help="Started by 'run': ends with standard input, and reports on standard output.",
)
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="[default: info]")
def serve(
    *,
    folder: Path | None,
    config_path: Path | None,
    state_dir: Path | None,
    variant: str | None,
    host: str | None,
    port: int | None,
    allow_remote: bool,
    threads: int | None,
    top: int,
    fast_decode: bool,
    memory_limit_mb: float | None,
    supervised: bool,
    log_level: str | None,
) -> None:
    """Answer images over HTTP with one variant, kept warm in a process of its own.

    Serves --variant, else the variant that is active on this device (--state-dir or --config) and
    from then on whatever becomes active, else the set's baseline. A change drops no request:
    the new variant is loaded and proven beside the old one, which serves on until then. Where the
    active one cannot be loaded, the last one that was good here is served, else the baseline.

    \b
    POST /v1/predict?top=5   an image as the body, or as a form's file; JSON
    GET  /v1/health          200 once a variant is served, else 503
    GET  /metrics            for Prometheus

    There is no authentication, so it listens on this machine only.
    SIGTERM ends it once accepted requests are answered.

    \b
    Exit code: 0 when it was told to end; 1 when it cannot serve; 2 for wrong use.
    """  # noqa: D301 - click reads \b as "keep these lines"
    # Asyncio and the rest of a server are for this command only.
    from agent.serving.choice import Chooser  # noqa: PLC0415
    from agent.serving.server import Server  # noqa: PLC0415

    stop = stop_on_signals()
    with clear_errors():
        if config_path is not None:
            config = load_config(config_path, environment=os.environ, flags={})
            folder = folder or Path(config.bundles)
            state_dir = state_dir or Path(config.state_dir)
            log_level = log_level or config.log_level
            host = host or config.serve_host
            port = config.serve_port if port is None else port
            allow_remote = allow_remote or config.serve_allow_remote
            fast_decode = fast_decode or config.serve_fast_decode
            memory_limit_mb = memory_limit_mb or config.memory_limit_mb
        if folder is None:
            message = "--bundles or --config is needed"
            raise click.UsageError(message)
        start_logging(log_level or "info")
        standing = None if state_dir is None else state_dir / STANDING_NAME
        chooser = Chooser(folder, variant=variant, standing=standing, threads=threads)
        server = Server(
            chooser,
            host=host or LOOPBACK,
            port=DEFAULT_PORT if port is None else port,
            allow_remote=allow_remote,
            top=top,
            fast_decode=fast_decode,
            memory_limit_bytes=None if memory_limit_mb is None else int(memory_limit_mb * 1e6),
        )
        if supervised:
            _serve_supervised(server, stop)
        else:
            server.run(stop, on_listening=lambda address: print_lines([f"listening on {address}"]))
    sys.exit(Exit.DONE)


def _serve_supervised(server: Server, stop: threading.Event) -> None:
    """Serve for as long as the agent that started this process lives."""
    stop_at_end_of(sys.stdin.buffer, stop)
    try:
        server.run(stop, on_report=_report)
    except AgentError as error:
        _report(ServingReport(problem=str(error)))
        raise


def _report(report: ServingReport) -> None:
    # Where the agent is gone, nobody hears it, and standard input ends as well.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
        sys.stdout.buffer.flush()
