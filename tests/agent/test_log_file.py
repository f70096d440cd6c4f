"""The agent's own log file: its owner's alone, and never larger than its bound."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.log_file import LogFileHandler

#: Its handler takes standard output and error over, so it runs in a process of its own.
LOGGING = """\
import logging, os, subprocess, sys
from pathlib import Path
from agent.log_file import LogFileHandler

path, count = Path(sys.argv[1]), int(sys.argv[2])
log = logging.getLogger("agent")
log.addHandler(LogFileHandler(path, limit_bytes=2000))
child = subprocess.Popen(["sh", "-c", "while read -r line; do echo child $line >&2; done"],
                         stdin=subprocess.PIPE)
for number in range(count):
    log.warning("record %d", number)
    child.stdin.write(b"%d\\n" % number)
    child.stdin.flush()
child.stdin.close()
child.wait()
os.write(2, b"raw words\\n")
print("said on standard output", flush=True)
"""


def logged(path: Path, count: int) -> None:
    subprocess.run([sys.executable, "-P", "-c", LOGGING, path, str(count)], check=True)


def test_everything_that_the_processes_say_goes_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    logged(path, 3)
    lines = path.read_text().splitlines()
    assert [one for one in lines if one.startswith("record")] == [f"record {n}" for n in range(3)]
    assert [one for one in lines if one.startswith("child")] == [f"child {n}" for n in range(3)]
    assert lines[-2:] == ["raw words", "said on standard output"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_file_is_begun_anew_and_one_older_part_stays(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    logged(path, 2000)
    older = tmp_path / "agent.log.1"
    assert sorted(tmp_path.iterdir()) == [path, older]
    # What a child says between two records comes on top of the limit.
    assert path.stat().st_size < 20_000
    assert older.stat().st_size < 20_000
    assert stat.S_IMODE(older.stat().st_mode) == 0o600
    assert "record 1999" in path.read_text() + older.read_text()
    assert path.read_text().endswith("raw words\nsaid on standard output\n")


def test_a_file_that_grew_without_bound_before_is_cut_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    path.write_text("of before\n" * 10_000 + "the last of before\n")
    path.chmod(0o644)
    logged(path, 1)
    assert path.stat().st_size < 20_000
    older = (tmp_path / "agent.log.1").read_text()
    assert len(older) <= 4000
    assert older.endswith("the last of before\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="log_file"):
        LogFileHandler(tmp_path / "missing/agent.log")
