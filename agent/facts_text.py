"""The facts of a box as lines for a person."""

from __future__ import annotations

from agent.boxfacts import BoxFacts
from agent.probes.throttle import Throttle
from contract.box import Board, CoreType, Disk, Memory

_GIBIBYTE = 1 << 30
_LABEL_WIDTH = 14


def facts_lines(facts: BoxFacts) -> list[str]:
    """One line a fact that the box tells, then one line a fact that it does not."""
    clock = _joined(_mhz(facts.clock_mhz, "now"), _mhz(facts.max_clock_mhz, "at most"))
    quota = facts.cpu_quota_cores
    told = [
        ("system", f"{facts.os}, kernel {facts.kernel}"),
        ("board", _board(facts.board)),
        ("processor", facts.cpu.model),
        ("features", " ".join(facts.cpu.features)),
        ("cores", _cores(facts)),
        *(("core type", _core_type(one)) for one in facts.core_types if _is_mixed(facts)),
        ("quota", "" if quota is None else f"{quota:g} cores, by a control group"),
        ("clock", _joined(clock, facts.governor and f"governor {facts.governor}")),
        ("load", "" if facts.load_1m is None else f"{facts.load_1m:g} over a minute"),
        ("memory", _memory(facts.memory)),
        ("temperature", "" if facts.temperature_c is None else f"{facts.temperature_c:.1f} C"),
        ("zones", ", ".join(f"{name} {value:.1f} C" for name, value in facts.zones_c.items())),
        ("throttling", _throttling(facts.throttle)),
        ("power", f"{facts.power.watts:.2f} W by {facts.power.source}" if facts.power else ""),
        ("energy", f"counted by {facts.energy_source}" if facts.energy_source else ""),
        *(("disk", _disk(disk)) for disk in facts.disks),
    ]
    lines = [f"{label:{_LABEL_WIDTH}}{text}" for label, text in told if text]
    return lines + [f"not told here: {one.what} ({one.why})" for one in facts.untold]


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _mhz(value: float | None, when: str) -> str:
    return "" if value is None else f"{value:.0f} MHz {when}"


def _board(board: Board | None) -> str:
    if board is None:
        return ""
    return _joined(
        board.model,
        board.soc,
        board.jetson_linux and f"Jetson Linux {board.jetson_linux}",
        None if board.power_mode is None else f"power mode {board.power_mode}",
    )


def _cores(facts: BoxFacts) -> str:
    logical, physical = facts.cpu.logical_cores, facts.cpu.physical_cores
    return _joined(
        f"{logical} logical" if logical else None,
        f"{physical} physical" if physical else None,
        f"{len(facts.offline_cores)} switched off" if facts.offline_cores else None,
    )


def _is_mixed(facts: BoxFacts) -> bool:
    return len(facts.core_types) > 1


def _core_type(one: CoreType) -> str:
    numbers = " ".join(map(str, one.cores))
    return _joined(one.name or "unnamed", _mhz(one.max_clock_mhz, "at most"), f"cores {numbers}")


def _memory(memory: Memory) -> str:
    limit = _size(memory.limit_bytes, "allowed by a control group")
    return _joined(
        _size(memory.total_bytes, "in all"),
        _size(memory.available_bytes, "available"),
        _size(memory.swap_total_bytes, "swap"),
        limit,
        limit and _size(memory.limit_used_bytes, "of it used"),
    )


def _size(value: int | None, of_what: str) -> str:
    return "" if value is None else f"{value / _GIBIBYTE:.2f} GiB {of_what}"


def _throttling(throttle: Throttle) -> str:
    past = ", ".join(throttle.past_causes)
    now = {True: "now", False: "not now", None: None}[throttle.now]
    return _joined(
        f"{now} ({', '.join(throttle.causes)})" if throttle.causes else now,
        f"since the start: {past}" if past else None,
        None if throttle.events is None else f"{throttle.events} events since the start",
    )


def _disk(disk: Disk) -> str:
    return _joined(
        f"of {' and '.join(disk.holds)}: {disk.kind or 'kind unknown'}",
        disk.file_system,
        _size(disk.total_bytes, "in all"),
        _size(disk.free_bytes, "free"),
        "read-only" if disk.read_only else None,
    )
