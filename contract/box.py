"""Parts of a box as its sensors tell them; None where the box does not tell.

Names such as a disk's kind are free text on the wire: a later agent may know more of them, and
an older reader must not refuse its message for that.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from contract.manifest import Count

Watts = Annotated[float, msgspec.Meta(ge=0.0)]


class CoreType(msgspec.Struct, frozen=True, kw_only=True):
    """Cores that are alike: of the same design and with the same highest clock."""

    #: `Cortex-A76`, or `performance` and `efficiency` on hybrid x86; None where all are alike.
    name: str | None = None
    #: Numbers of the logical cores that are online.
    cores: list[Count]
    max_clock_mhz: float | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of the box, and what a control group allows the agent."""

    total_bytes: Count | None = None
    #: What can be had without swapping: the kernel's own estimate.
    available_bytes: Count | None = None
    swap_total_bytes: Count | None = None
    swap_free_bytes: Count | None = None
    #: Tightest limit of the agent's control groups.
    limit_bytes: Count | None = None
    #: What the group with that limit uses, page cache included.
    limit_used_bytes: Count | None = None


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """The file system that holds one or more of the agent's folders."""

    #: Which of the agent's folders: `bundles`, `state`.
    holds: list[str]
    #: sd-card, emmc, nvme, ssd, hdd, usb, virtual, overlay, memory or network.
    kind: str | None = None
    file_system: str | None = None
    total_bytes: Count | None = None
    #: What the agent's user may still write.
    free_bytes: Count | None = None
    read_only: bool | None = None


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """The board below the processor, by its device tree and its maker's files."""

    model: str | None = None
    #: `brcm,bcm2712`, `nvidia,tegra234`.
    soc: str | None = None
    #: Release of NVIDIA's Jetson Linux, such as `36.3.0`.
    jetson_linux: str | None = None
    #: Number of the active power mode of a Jetson, which limits cores and clocks.
    power_mode: int | None = None


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """Power drawn at one moment, and by what."""

    watts: Watts
    #: `ina3221 VDD_IN` (the whole module), `pmic` (the rails that a Pi 5 measures).
    source: str
