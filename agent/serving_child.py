"""The server as a child process of the agent: started, heard, restarted, and ended with it."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import msgspec

from agent.config import AgentConfig
from agent.logs import fields
from agent.serving.report import ServingReport

_log = logging.getLogger(__name__)

#: Accepted requests are answered first; a service manager kills after 90 s by default.
_GRACE_SECONDS = 30.0
_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 30.0
#: A server that lived this long was well, and the next one need not wait.
_STEADY_SECONDS = 60.0
#: One death may be anybody's doing; from the second one on it is told as a problem.
_TOLD_DEATHS = 2


class ServingChild:
    """Keeps one server process alive.

    Its end of standard input closes with this process, however that ends, and so it ends too.

    Args:
        words: the command line, which reports on standard output.
        on_report: told what the server is at, from a thread of its own.
    """

    def __init__(self, words: list[str], *, on_report: Callable[[ServingReport], None]) -> None:
        self._words = words
        self._on_report = on_report
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="serving-child", daemon=True)

    def start(self) -> None:
        """Start the server, and start it again whenever it ends."""
        self._thread.start()

    def stop(self) -> None:
        """End the server once it has answered what it accepted, or else by force."""
        with self._lock:
            self._stop.set()
            process = self._process
        if process is not None:
            _close(process)
        if self._thread.is_alive():
            self._thread.join(_GRACE_SECONDS)
        if process is not None and process.poll() is None:
            _log.warning("serving_killed", extra=fields(pid=process.pid))
            process.kill()
            self._thread.join()

    def _keep(self) -> None:
        deaths = 0
        while not self._stop.is_set():
            began = time.monotonic()
            reason, problem = self._serve()
            if self._stop.is_set():
                return
            deaths = 1 if time.monotonic() - began > _STEADY_SECONDS else deaths + 1
            if problem is None and deaths >= _TOLD_DEATHS:
                problem = f"the server does not stay alive: {reason}"
            self._on_report(ServingReport(problem=problem))
            seconds = min(_FIRST_BACK_OFF_SECONDS * 2 ** (deaths - 1), _LONGEST_BACK_OFF_SECONDS)
            _log.error("serving_ended", extra=fields(reason=reason, again_in_s=seconds))
            self._stop.wait(seconds)

    def _serve(self) -> tuple[str, str | None]:
        """Run one server to its end; how that came, and what the server itself found wrong."""
        try:
            process = self._start()
        except OSError as error:
            reason = f"the server cannot be started: {error.strerror}"
            return reason, reason
        if process is None:
            return "it was told to", None
        report = None
        assert process.stdout is not None  # noqa: S101 - we asked for the pipe
        for line in process.stdout:
            try:
                report = msgspec.json.decode(line, type=ServingReport)
            except msgspec.MsgspecError as error:
                _log.warning("serving_garbled", extra=fields(error=error))
                continue
            self._hear(report)
        code = process.wait()
        _close(process)
        process.stdout.close()
        is_own_word = report is not None and report.address is None
        return f"exit code {code}", report.problem if report and is_own_word else None

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stop.is_set():
                return None
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            _log.info("serving_started", extra=fields(pid=self._process.pid))
            return self._process

    def _hear(self, report: ServingReport) -> None:
        served = report.served
        _log.info(
            "serving",
            extra=fields(
                address=report.address,
                variant=served.variant if served else None,
                preparation=served.preparation if served else None,
                problem=report.problem,
            ),
        )
        self._on_report(report)


def serve_command(config: AgentConfig) -> list[str]:
    """Command line of the server that a configuration asks for."""
    words = [sys.executable, "-P", "-m", "agent", "serve", "--supervised"]
    words += ["--bundles", config.bundles, "--state-dir", config.state_dir]
    words += ["--host", config.serve_host, "--port", str(config.serve_port)]
    words += ["--log-level", config.log_level]
    if config.memory_limit_mb is not None:
        words += ["--memory-limit-mb", str(config.memory_limit_mb)]
    words += ["--allow-remote"] if config.serve_allow_remote else []
    words += ["--fast-decode"] if config.serve_fast_decode else []
    return words


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
