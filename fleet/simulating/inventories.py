"""What a simulated box says of itself, as an agent on it would find it."""

from __future__ import annotations

import functools
import hashlib

from contract.box import Board, Memory
from contract.messages import Inventory
from fleet.simulating.classes import Isa
from fleet.simulating.devices import DeviceLaw
from fleet.simulating.variants import VariantLaw, set_id_of

AGENT, TORCH, PYTHON = "0.1.0", "2.13.0", "3.11.2"
KERNEL = "6.12.25"

#: Flags that the agent picks out of /proc/cpuinfo.
_FEATURES = {
    Isa.NEON: ["asimd"],
    Isa.NEON_DOT: ["asimd", "asimddp"],
    Isa.SSE4: ["sse4_2"],
    Isa.AVX2: ["sse4_2", "avx2", "fma"],
    Isa.AVX2_VNNI: ["sse4_2", "avx2", "fma", "avx_vnni"],
    Isa.AVX512_VNNI: ["sse4_2", "avx2", "fma", "avx512f", "avx512_vnni"],
}
_BOARDS = {
    "rpi3b": ("Raspberry Pi 3 Model B Rev 1.2", "brcm,bcm2837"),
    "rpi4": ("Raspberry Pi 4 Model B Rev 1.4", "brcm,bcm2711"),
    "rpi5": ("Raspberry Pi 5 Model B Rev 1.0", "brcm,bcm2712"),
    "jetson-a57": ("NVIDIA Jetson Nano Developer Kit", "nvidia,tegra210"),
    "jetson-a78": ("NVIDIA Jetson Orin Nano Developer Kit", "nvidia,tegra234"),
}
_DIGITS = 16


def engine_of(device: DeviceLaw) -> str:
    """The quantized engine of the box."""
    has_x86 = device.kind.arch == "x86_64" and device.kind.isa is not Isa.SSE4
    return "x86" if has_x86 else "qnnpack"


def fingerprint_of(device: DeviceLaw) -> str:
    """Sixteen hexadecimal digits of what the box's figures depend on, as far as it can tell."""
    return _fingerprint(device.kind.cpu_model, device.ram_bytes)


@functools.cache
def _fingerprint(cpu_model: str, ram_bytes: int) -> str:
    facts = (cpu_model, ram_bytes, KERNEL, TORCH, AGENT)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:_DIGITS]


def inventory_of(
    device: DeviceLaw,
    variants: tuple[VariantLaw, ...] = (),
    *,
    site: str = "simulated",
    at: float = 0.0,
) -> Inventory:
    """The box's inventory. Its oddities, load and cooling are not in it: a box does not know.

    Args:
        device: the box.
        variants: the bundle set that it has; empty for none.
        site: where it says it is.
        at: what its clock shows.
    """
    kind = device.kind
    board = _BOARDS.get(kind.name)
    return Inventory(
        site=site,
        device=device.device,
        at=at,
        agent=AGENT,
        cpu_model=kind.cpu_model,
        arch=kind.arch,
        physical_cores=kind.cores,
        logical_cores=kind.cores,
        usable_cores=kind.cores,
        ram_bytes=device.ram_bytes,
        threads=sorted({1, kind.cores}),
        os="Debian GNU/Linux 13 (trixie)",
        kernel=KERNEL,
        python=PYTHON,
        torch=TORCH,
        engines=[engine_of(device)],
        cpu_features=_FEATURES[kind.isa],
        max_clock_mhz=kind.clock_ghz * 1000,
        governor="schedutil" if kind.arch == "aarch64" else "powersave",
        board=Board(model=board[0], soc=board[1]) if board else None,
        memory=Memory(total_bytes=device.ram_bytes, available_bytes=device.available_bytes),
        energy_source="rapl" if kind.meters_energy else None,
        groups=[kind.name],
        fingerprint=fingerprint_of(device),
        set_id=set_id_of(variants) if variants else None,
        variants=[variant.name for variant in variants],
    )
