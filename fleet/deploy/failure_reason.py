"""Picks the reason of a failure out of what a command on a box printed, with what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgewright.terminal import visible

_LINES = 12
_LINE_CHARACTERS = 600
#: What pip and other tools print beside an error, and what is never the reason of a failure.
_REMARK = re.compile(r"(WARNING|DEPRECATION|NOTE|INFO|\[notice\])\b|.*Warning: ", re.IGNORECASE)
_ERROR = re.compile(r"(?:ERROR|error):\s*(?P<said>.*)")
#: pip says this of packages that were there before; it goes on.
_GOES_ON = "pip's dependency resolver does not currently take into account"
_CRASHED = "Exception:"
#: The last line of a traceback, such as `OSError: [Errno 28] No space left on device`.
_RAISED = re.compile(r"[A-Za-z_][\w.]*(: .*)?$")
FULL_DISK = "the disk of the box is full: make room there ('df -h' shows where), then deploy again"
#: A sign of what is wrong, wherever it stands, and what a person can do about it; the first one
#: that is found counts.
_ADVICE = (
    (
        re.compile(r"No space left on device|Errno 28\b", re.IGNORECASE),
        FULL_DISK,
    ),
    (
        re.compile(r"Disk quota exceeded", re.IGNORECASE),
        "the user's quota on the box is used up: make room, or install elsewhere with --prefix",
    ),
    (
        re.compile(r"Read-only file system", re.IGNORECASE),
        "the disk of the box cannot be written: is it damaged, or mounted read-only?",
    ),
    (
        re.compile(r"^Killed\b|Cannot allocate memory|MemoryError", re.MULTILINE),
        "the memory of the box ran out: end something there, or add swap",
    ),
    (
        re.compile(
            r"connection broken by|Failed to establish a new connection|"
            r"Temporary failure in name resolution|Read timed out|Network is unreachable"
        ),
        "pip on the box does not reach its index: mend the box's network, or use --wheelhouse",
    ),
    (
        re.compile(r"DO NOT MATCH THE HASHES", re.IGNORECASE),
        "a package arrived damaged, or was replaced on its index: deploy again",
    ),
    (
        re.compile(r"No matching distribution found|Could not find a version that satisfies"),
        "the index or the wheelhouse has no such version for this processor and Python",
    ),
)


def reason_of(errors: str, output: str = "") -> str:
    """Why a command failed, in its own words and, where the cause is known, with what to do.

    pip's errors begin with `ERROR:`, and remarks stand before, between and after them; those are
    left out. A crash of pip is told by the last line of its traceback. What is known neither as
    an error nor as a remark stays, the last lines of it.
    """
    everything = f"{errors}\n{output}"
    said = _errors(_lines(errors)) or _without_remarks(_lines(errors))
    said = said or _without_remarks(_lines(output)) or _lines(errors)[-_LINES:]
    text = "\n".join(said) or "it said nothing"
    for sign, advice in _ADVICE:
        found = sign.search(everything)
        if found is not None:
            if sign.search(text) is None:
                text += f"\n{_line_of(everything, found.start())}"
            return f"{text}; {advice}"
    return text


def _lines(text: str) -> list[str]:
    lines = (visible(line.strip("\r").rstrip()) for line in text.split("\n"))
    return [line[:_LINE_CHARACTERS] for line in lines if line.strip()]


def _errors(lines: Sequence[str]) -> list[str]:
    """What pip calls errors."""
    found: list[str] = []
    for number, line in enumerate(lines):
        match = _ERROR.match(line)
        if match is None or _GOES_ON in line:
            continue
        said = match["said"]
        if said == _CRASHED:
            after = _without_remarks(lines[number + 1 :])
            raised = [one for one in after if _RAISED.fullmatch(one)]
            said = raised[-1] if raised else said
        if said and said not in found:
            found.append(said)
    return found[-_LINES:]


def _without_remarks(lines: Sequence[str]) -> list[str]:
    kept: list[str] = []
    is_remark = False
    for line in lines:
        # What is indented below a remark belongs to it.
        is_remark = _REMARK.match(line) is not None or (is_remark and line[:1].isspace())
        if not is_remark:
            kept.append(line)
    return kept[-_LINES:]


def _line_of(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 :].split("\n", 1)[0]
    return visible(line.strip())[:_LINE_CHARACTERS]
