"""Kinds of boxes, by what their makers' data sheets say of them.

Peaks are clock x cores x operations a cycle; bandwidths are those of the memory's data sheet.
What a network gets of these (`..._share`, `..._gain`) and all watts are modelled: plausible, and
measured nowhere.
"""

from __future__ import annotations

import enum

import msgspec

_MB = 1_000_000
_GB = 1_000_000_000
_MIB = 1024 * 1024


class Isa(enum.StrEnum):
    """Which vector instructions there are, as far as they matter to a network."""

    NEON = "neon"
    NEON_DOT = "neon-dot"
    SSE4 = "sse4"
    AVX2 = "avx2"
    AVX2_VNNI = "avx2-vnni"
    AVX512_VNNI = "avx512-vnni"


class DeviceClass(msgspec.Struct, frozen=True, kw_only=True):
    """What all boxes of one kind have in common."""

    name: str
    cpu_model: str
    arch: str
    isa: Isa
    #: Share of this kind in the fleet that `draw_device` draws, before it is normed.
    weight: float
    cores: int
    #: What all cores reach together while they are cool.
    clock_ghz: float
    #: FP32 operations of one core in one cycle; a multiply-add counts as two.
    fp32_per_cycle: float
    #: Share of that peak which wide convolutions reach.
    fp32_share: float
    #: How many times as fast the same convolution is in INT8.
    int8_gain: float
    #: Channels that one vector step takes; the last step of a narrower layer is partly wasted.
    lanes: int
    #: What all cores read together, and one core alone.
    bandwidth_bytes_per_s: float
    core_bandwidth_bytes_per_s: float
    #: Last-level cache that a network may have for itself.
    cache_bytes: int
    #: Time that starting one layer takes, whatever its size; quantized layers take twice that.
    layer_overhead_us: float
    #: 1: threads are independent; 0.9: each further thread adds nine tenths of what it could.
    parallel_share: float
    #: Sizes of memory that the kind is sold with.
    ram_bytes: tuple[int, ...]
    #: Resident after importing the engine, before any network.
    runtime_bytes: int
    idle_w: float
    #: What one busy core draws on top at full clock.
    core_w: float
    #: Heat that the usual case carries away for hours.
    sustained_w: float
    #: Whether runs can tell their energy.
    meters_energy: bool = False
    #: Standard deviations of the logarithm: between processes, and between samples of one.
    process_noise: float
    sample_noise: float


def device_classes() -> tuple[DeviceClass, ...]:
    """Every modelled kind, the smallest first."""
    return _CLASSES


_CLASSES = (
    # BCM2837: 4 x Cortex-A53 at 1.2 GHz, one 128-bit multiply-add a cycle; LPDDR2-900, 32 bits:
    # 3.6 GB/s, of which streams get about 60 %; 512 KiB L2.
    DeviceClass(
        name="rpi3b", cpu_model="Cortex-A53", arch="aarch64", isa=Isa.NEON, weight=2,
        cores=4, clock_ghz=1.2, fp32_per_cycle=8, fp32_share=0.34, int8_gain=1.5, lanes=4,
        bandwidth_bytes_per_s=2.2 * _GB, core_bandwidth_bytes_per_s=1.5 * _GB,
        cache_bytes=_MIB // 2, layer_overhead_us=130, parallel_share=0.90,
        ram_bytes=(_GB,), runtime_bytes=150 * _MB,
        idle_w=1.4, core_w=0.75, sustained_w=4.4, process_noise=0.020, sample_noise=0.020,
    ),
    # BCM2711: 4 x Cortex-A72 at 1.8 GHz (1.5 before 2021), one 128-bit multiply-add a cycle;
    # LPDDR4-3200, 32 bits: 12.8 GB/s, of which streams get about 40 %; 1 MiB L2.
    DeviceClass(
        name="rpi4", cpu_model="Cortex-A72", arch="aarch64", isa=Isa.NEON, weight=6,
        cores=4, clock_ghz=1.8, fp32_per_cycle=8, fp32_share=0.47, int8_gain=1.6, lanes=4,
        bandwidth_bytes_per_s=5.2 * _GB, core_bandwidth_bytes_per_s=4.0 * _GB,
        cache_bytes=_MIB, layer_overhead_us=60, parallel_share=0.91,
        ram_bytes=(2 * _GB, 4 * _GB, 4 * _GB, 8 * _GB), runtime_bytes=160 * _MB,
        idle_w=2.7, core_w=1.0, sustained_w=6.9, process_noise=0.016, sample_noise=0.014,
    ),
    # BCM2712: 4 x Cortex-A76 at 2.4 GHz, two 128-bit multiply-adds a cycle and SDOT;
    # LPDDR4X-4267, 32 bits: 17.1 GB/s; 4 x 512 KiB L2 and 2 MiB L3.
    DeviceClass(
        name="rpi5", cpu_model="Cortex-A76", arch="aarch64", isa=Isa.NEON_DOT, weight=5,
        cores=4, clock_ghz=2.4, fp32_per_cycle=16, fp32_share=0.50, int8_gain=2.7, lanes=8,
        bandwidth_bytes_per_s=11.0 * _GB, core_bandwidth_bytes_per_s=9.0 * _GB,
        cache_bytes=3 * _MIB, layer_overhead_us=28, parallel_share=0.92,
        ram_bytes=(4 * _GB, 8 * _GB, 8 * _GB, 16 * _GB), runtime_bytes=165 * _MB,
        idle_w=3.0, core_w=1.9, sustained_w=11.0, process_noise=0.012, sample_noise=0.010,
    ),
    # Tegra X1: 4 x Cortex-A57 at 1.43 GHz, one 128-bit multiply-add a cycle; LPDDR4, 64 bits:
    # 25.6 GB/s; 2 MiB L2. Its graphics processor is left out: the agent runs on the CPU.
    DeviceClass(
        name="jetson-a57", cpu_model="Cortex-A57", arch="aarch64", isa=Isa.NEON, weight=2,
        cores=4, clock_ghz=1.43, fp32_per_cycle=8, fp32_share=0.45, int8_gain=1.6, lanes=4,
        bandwidth_bytes_per_s=14.0 * _GB, core_bandwidth_bytes_per_s=5.5 * _GB,
        cache_bytes=2 * _MIB, layer_overhead_us=75, parallel_share=0.91,
        ram_bytes=(4 * _GB,), runtime_bytes=175 * _MB,
        idle_w=2.0, core_w=1.3, sustained_w=8.0, process_noise=0.015, sample_noise=0.014,
    ),
    # Orin Nano: 6 x Cortex-A78AE at 1.5 GHz, two 128-bit multiply-adds a cycle and SDOT;
    # LPDDR5, 128 bits: 68 GB/s; 6 x 256 KiB L2 and 4 MiB L3.
    DeviceClass(
        name="jetson-a78", cpu_model="Cortex-A78AE", arch="aarch64", isa=Isa.NEON_DOT, weight=2,
        cores=6, clock_ghz=1.5, fp32_per_cycle=16, fp32_share=0.52, int8_gain=2.8, lanes=8,
        bandwidth_bytes_per_s=38.0 * _GB, core_bandwidth_bytes_per_s=12.0 * _GB,
        cache_bytes=5 * _MIB, layer_overhead_us=34, parallel_share=0.91,
        ram_bytes=(8 * _GB,), runtime_bytes=180 * _MB,
        idle_w=3.5, core_w=0.9, sustained_w=10.0, process_noise=0.012, sample_noise=0.010,
    ),
    # Gemini Lake Refresh: 4 cores at 2.0 to 2.7 GHz, 10 W; SSE4.2, no AVX and no multiply-add: a
    # 128-bit multiply and an add a cycle; two channels of DDR4-2400: 38.4 GB/s; 4 MiB L2.
    DeviceClass(
        name="j4125", cpu_model="Intel(R) Celeron(R) J4125 CPU @ 2.00GHz", arch="x86_64",
        isa=Isa.SSE4, weight=3,
        cores=4, clock_ghz=2.5, fp32_per_cycle=8, fp32_share=0.48, int8_gain=1.05, lanes=4,
        bandwidth_bytes_per_s=17.0 * _GB, core_bandwidth_bytes_per_s=8.0 * _GB,
        cache_bytes=4 * _MIB, layer_overhead_us=45, parallel_share=0.92,
        ram_bytes=(4 * _GB, 8 * _GB), runtime_bytes=210 * _MB,
        idle_w=3.0, core_w=1.9, sustained_w=11.5, meters_energy=True,
        process_noise=0.014, sample_noise=0.012,
    ),
    # Alder Lake-N: 4 Gracemont cores at up to 3.4 GHz, 6 W; two 128-bit halves of AVX2
    # multiply-adds a cycle, AVX-VNNI; one channel of DDR5-4800: 38.4 GB/s; 6 MiB L3.
    DeviceClass(
        name="n100", cpu_model="Intel(R) N100", arch="x86_64", isa=Isa.AVX2_VNNI, weight=4,
        cores=4, clock_ghz=2.9, fp32_per_cycle=16, fp32_share=0.58, int8_gain=2.6, lanes=8,
        bandwidth_bytes_per_s=22.0 * _GB, core_bandwidth_bytes_per_s=13.0 * _GB,
        cache_bytes=6 * _MIB, layer_overhead_us=20, parallel_share=0.92,
        ram_bytes=(8 * _GB, 16 * _GB), runtime_bytes=230 * _MB,
        idle_w=3.5, core_w=2.6, sustained_w=13.5, meters_energy=True,
        process_noise=0.012, sample_noise=0.010,
    ),
    # Broadwell-U: 2 cores at 2.1 GHz, 15 W; two 256-bit multiply-adds a cycle, no VNNI; two
    # channels of DDR3L-1600: 25.6 GB/s; 3 MiB L3.
    DeviceClass(
        name="i3-5010u", cpu_model="Intel(R) Core(TM) i3-5010U CPU @ 2.10GHz", arch="x86_64",
        isa=Isa.AVX2, weight=2,
        cores=2, clock_ghz=2.1, fp32_per_cycle=32, fp32_share=0.62, int8_gain=1.5, lanes=8,
        bandwidth_bytes_per_s=15.0 * _GB, core_bandwidth_bytes_per_s=11.0 * _GB,
        cache_bytes=3 * _MIB, layer_overhead_us=26, parallel_share=0.94,
        ram_bytes=(4 * _GB, 8 * _GB), runtime_bytes=230 * _MB,
        idle_w=4.0, core_w=5.0, sustained_w=14.0, meters_energy=True,
        process_noise=0.016, sample_noise=0.014,
    ),
    # Skylake-S: 4 cores at 2.5 to 2.8 GHz, 35 W; two 256-bit multiply-adds a cycle, no VNNI;
    # two channels of DDR4-2133: 34.1 GB/s; 6 MiB L3.
    DeviceClass(
        name="i5-6500t", cpu_model="Intel(R) Core(TM) i5-6500T CPU @ 2.50GHz", arch="x86_64",
        isa=Isa.AVX2, weight=3,
        cores=4, clock_ghz=2.8, fp32_per_cycle=32, fp32_share=0.66, int8_gain=1.6, lanes=8,
        bandwidth_bytes_per_s=25.0 * _GB, core_bandwidth_bytes_per_s=15.0 * _GB,
        cache_bytes=6 * _MIB, layer_overhead_us=16, parallel_share=0.93,
        ram_bytes=(8 * _GB, 16 * _GB), runtime_bytes=235 * _MB,
        idle_w=6.0, core_w=7.0, sustained_w=36.0, meters_energy=True,
        process_noise=0.011, sample_noise=0.010,
    ),
    # Ice Lake-SP, Xeon Silver 4310: 12 cores at 2.1 to 2.7 GHz, 120 W; two 512-bit multiply-adds
    # a cycle and VNNI; eight channels of DDR4-2667: 171 GB/s; 18 MiB L3.
    DeviceClass(
        name="xeon-4310", cpu_model="Intel(R) Xeon(R) Silver 4310 CPU @ 2.10GHz", arch="x86_64",
        isa=Isa.AVX512_VNNI, weight=1,
        cores=12, clock_ghz=2.4, fp32_per_cycle=64, fp32_share=0.50, int8_gain=3.0, lanes=16,
        bandwidth_bytes_per_s=110.0 * _GB, core_bandwidth_bytes_per_s=13.0 * _GB,
        cache_bytes=18 * _MIB, layer_overhead_us=14, parallel_share=0.90,
        ram_bytes=(64 * _GB,), runtime_bytes=260 * _MB,
        idle_w=45.0, core_w=8.5, sustained_w=150.0, meters_energy=True,
        process_noise=0.012, sample_noise=0.011,
    ),
)  # fmt: skip
