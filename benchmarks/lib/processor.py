"""The processor that a benchmark ran on, and the one core of it that it kept to."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from agent.affinity import keep_to_cores, usable_cores
from agent.probes.cpu import read_cpu
from agent.probes.load import load_1m

#: What decides how fast INT8 and 16-bit floats are, as Linux names it: `avx512_vnni` and
#: `avx_vnni` multiply and add four INT8 pairs in one step, `amx_int8` whole tiles;
#: `asimddp` and `i8mm` are ARM's counterparts.
_DECISIVE = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
)
_WITH_DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}


class Processor(msgspec.Struct, frozen=True, kw_only=True):
    """The processor, as far as figures depend on it."""

    model: str
    logical_cores: int | None
    #: Of the extensions that matter to these networks, those that it has.
    extensions: list[str]
    #: Whether one instruction multiplies and adds several INT8 pairs.
    has_int8_dot_products: bool
    #: The core that everything ran on; None where the process could not be held to one.
    core: int | None
    load_1m_before: float | None
    notes: list[str]


def keep_to_one_core(root: Path = Path("/")) -> Processor:
    """Hold this process, and what it starts from now on, to its idlest core.

    To be called before any library starts threads of its own: those that run already keep
    the cores that they have.
    """
    load = load_1m(root)
    obstacle = keep_to_cores(root, 1)
    cores = usable_cores()
    return msgspec.structs.replace(
        read_processor(root),
        core=min(cores) if len(cores) == 1 else None,
        load_1m_before=load,
        notes=[] if obstacle is None else [obstacle],
    )


def read_processor(root: Path = Path("/")) -> Processor:
    """Return what the processor is, held to no core."""
    cpu = read_cpu(root)
    extensions = [name for name in _DECISIVE if name in cpu.features]
    return Processor(
        model=cpu.model,
        logical_cores=cpu.logical_cores or os.cpu_count(),
        extensions=extensions,
        has_int8_dot_products=not _WITH_DOT_PRODUCTS.isdisjoint(extensions),
        core=None,
        load_1m_before=load_1m(root),
        notes=[],
    )
