"""Commands that probes run: real ones, which end well, badly, late or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.probes.command import run_command


def test_a_command_gives_its_output() -> None:
    assert run_command([sys.executable, "-c", "print('throttled=0x0')"]) == "throttled=0x0\n"


def test_a_missing_a_failing_and_a_broken_command_give_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF, but no program")
    broken.chmod(0o755)
    assert run_command(["edgewright-no-such-command"]) is None
    assert run_command([sys.executable, "-c", "print('x'); raise SystemExit(1)"]) is None
    assert run_command([str(broken)]) is None


def test_a_command_that_hangs_is_ended_with_its_children() -> None:
    """A child that keeps the pipe open does not keep the probe waiting, or this test would hang."""
    sleep = "[sys.executable, '-c', 'import time; time.sleep(3600)']"
    code = f"import subprocess, sys; subprocess.run({sleep})"
    assert run_command([sys.executable, "-c", code], timeout_s=0.5) is None


def test_output_that_is_no_text_is_no_exception() -> None:
    code = "import sys; sys.stdout.buffer.write(bytes([255, 65]))"
    assert run_command([sys.executable, "-c", code]) == "\ufffdA"
