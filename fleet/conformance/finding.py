"""What the conformance kit found: one finding a check, and what follows for `serve`."""

from __future__ import annotations

import enum

import msgspec


class Status(enum.StrEnum):
    """How a check went."""

    #: Required, and as it should be.
    PASSED = "passed"
    #: Required, and not as it should be.
    FAILED = "failed"
    #: Optional, and there.
    PRESENT = "present"
    #: Optional, and not there.
    ABSENT = "absent"
    #: Not tried, for something failed that it needs.
    UNTRIED = "untried"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what was asked, what came, and what it means for a fleet on this broker."""

    check: str
    required: bool
    status: Status
    #: What was tried.
    asks: str
    #: What came.
    got: str
    #: What was expected instead; None where it came.
    expected: str | None = None
    #: What follows, and what to do; None where nothing is wrong or missing.
    means: str | None = None


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A way to run collectors, and whether it is possible on this broker."""

    command: str
    #: None where too little could be tried to know.
    possible: bool | None
    why: str


class Conformance(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found of one broker."""

    broker: str
    #: Topics and client ids of the run hold it.
    run: str
    conforms: bool
    findings: list[Finding]
    ways: list[Way]


class UnmetError(Exception):
    """A check that did not come out: what was expected, and what came."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got
