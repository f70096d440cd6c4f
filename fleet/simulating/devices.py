"""One box: its kind, and what makes it different from the others of its kind."""

from __future__ import annotations

import enum
import functools
import math

import msgspec

from fleet.simulating.chance import chance
from fleet.simulating.classes import DeviceClass, device_classes

#: Standard deviations of the logarithm, box by box; modelled.
_CLOCK_SPREAD = 0.012
_EFFICIENCY_SPREAD = 0.025
_BANDWIDTH_SPREAD = 0.035
_COOLING_SPREAD = 0.16
#: Mean of what other programs keep busy, in cores; drawn from an exponential law.
_MEAN_LOAD_CORES = 0.12
_ODD_SHARE = 0.06
_SLOW_MEMORY, _BARE_CHIP, _WEAK_SUPPLY = 0.5, 0.5, 0.67
#: The operating system and other programs, as a share of memory and at least so much.
_TAKEN_SHARE, _TAKEN_BYTES = 0.06, 150_000_000


class Oddity(enum.StrEnum):
    """What is wrong with a box."""

    NONE = "none"
    #: A module in the wrong slot, or one of a slower kind.
    SLOW_MEMORY = "slow-memory"
    NO_HEAT_SINK = "no-heat-sink"
    #: Too weak a power supply keeps the clock down.
    WEAK_SUPPLY = "weak-supply"


class DeviceLaw(msgspec.Struct, frozen=True, kw_only=True):
    """A box as physics has it; factors are against its kind's typical box."""

    device: str
    kind: DeviceClass
    ram_bytes: int
    clock_factor: float = 1.0
    #: Of what code gets out of the same clock: page colours, firmware, interrupts.
    efficiency_factor: float = 1.0
    bandwidth_factor: float = 1.0
    cooling_factor: float = 1.0
    #: What other programs keep busy, in cores.
    load_cores: float = 0.0
    ambient_c: float = 25.0
    oddity: Oddity = Oddity.NONE

    @property
    def available_bytes(self) -> int:
        """Memory that the operating system leaves."""
        return self.ram_bytes - max(_TAKEN_BYTES, round(self.ram_bytes * _TAKEN_SHARE))

    @property
    def clock_ghz(self) -> float:
        """Clock while the box is cool."""
        weak = _WEAK_SUPPLY if self.oddity is Oddity.WEAK_SUPPLY else 1.0
        return self.kind.clock_ghz * self.clock_factor * weak

    @property
    def sustained_w(self) -> float:
        """Heat that the box gets rid of for hours, where it stands."""
        bare = _BARE_CHIP if self.oddity is Oddity.NO_HEAT_SINK else 1.0
        # A chip may be about 60 degrees warmer than a room of 25.
        room = max(0.3, (85.0 - self.ambient_c) / 60.0)
        return self.kind.sustained_w * self.cooling_factor * bare * room

    def bandwidth_bytes_per_s(self, threads: int) -> float:
        """What so many threads read from memory together."""
        slow = _SLOW_MEMORY if self.oddity is Oddity.SLOW_MEMORY else 1.0
        kind = self.kind
        together = min(threads * kind.core_bandwidth_bytes_per_s, kind.bandwidth_bytes_per_s)
        return together * self.bandwidth_factor * slow


def draw_device(seed: int, index: int) -> DeviceLaw:
    """The box with a number in the fleet of a seed; the same ones give the same box."""
    draw = chance("device", seed, index)
    kinds = device_classes()
    (kind,) = draw.choices(kinds, _weights())
    odd = draw.random() < _ODD_SHARE
    oddities = [one for one in Oddity if one is not Oddity.NONE]
    return DeviceLaw(
        device=f"{kind.name}-{index:05}",
        kind=kind,
        ram_bytes=draw.choice(kind.ram_bytes),
        clock_factor=math.exp(draw.gauss(0.0, _CLOCK_SPREAD)),
        efficiency_factor=math.exp(draw.gauss(0.0, _EFFICIENCY_SPREAD)),
        bandwidth_factor=math.exp(draw.gauss(0.0, _BANDWIDTH_SPREAD)),
        cooling_factor=math.exp(draw.gauss(0.0, _COOLING_SPREAD)),
        load_cores=min(draw.expovariate(1.0 / _MEAN_LOAD_CORES), kind.cores / 2),
        ambient_c=draw.triangular(12.0, 45.0, 24.0),
        oddity=draw.choice(oddities) if odd else Oddity.NONE,
    )


@functools.cache
def _weights() -> tuple[float, ...]:
    return tuple(kind.weight for kind in device_classes())
