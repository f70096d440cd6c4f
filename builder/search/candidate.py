"""What a search may try: one variant of one network, and the space of all of them."""

from __future__ import annotations

import msgspec

from builder.errors import UsageError
from builder.recipe import VariantSpec
from contract.manifest import Positive, Scheme, Share

#: Inputs below the base's that are worth a look, as shares of it: 192, 160 and 128 of 224.
_SMALLER_INPUTS = (6 / 7, 5 / 7, 4 / 7)
_SIZE_STEP = 8
RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of one network that could be built."""

    architecture: str
    #: Share of the filters that is removed; None leaves the network whole.
    prune_ratio: Share | None = None
    scheme: Scheme = Scheme.FP32
    #: Side of the input in pixels.
    input_size: Positive

    def __lt__(self, other: Candidate) -> bool:
        """Order by architecture, then by rising change."""
        return self._order < other._order

    @property
    def _order(self) -> tuple[str, float, str, int]:
        ratio = self.prune_ratio or 0.0
        return self.architecture, ratio, self.scheme.value, -self.input_size

    def spec(self, base_size: int) -> VariantSpec:
        """Entry of a recipe that makes this variant of a network whose base takes `base_size`."""
        return VariantSpec(
            prune_ratio=self.prune_ratio,
            quantize=self.scheme,
            input_px=None if self.input_size == base_size else self.input_size,
        )


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """Every combination that a search may choose from.

    Unpruned and FP32 are always among the choices, because the base of each network is.

    Raises:
        UsageError: no network, a network without input size, or a ratio outside 0 to 1.
    """

    #: Sides of the inputs of each architecture in pixels; the first is its base's.
    input_sizes: dict[str, tuple[int, ...]]
    ratios: tuple[float, ...] = RATIOS
    schemes: tuple[Scheme, ...] = (Scheme.FP32, Scheme.STATIC_INT8)

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if not self.input_sizes or not all(self.input_sizes.values()):
            message = (
                f"input_sizes: expected at least one size for each network, got {self.input_sizes}"
            )
            raise UsageError(message)
        outside = [ratio for ratio in self.ratios if not 0 < ratio < 1]
        if outside:
            message = f"ratios: expected shares between 0 and 1, got {outside}; leave them out"
            raise UsageError(message)

    @property
    def architectures(self) -> tuple[str, ...]:
        """Networks, the one that carries the baseline first."""
        return tuple(self.input_sizes)

    @property
    def baseline(self) -> Candidate:
        """Variant that every drop of accuracy is against: the first network's base."""
        return self.base(self.architectures[0])

    def base_size(self, architecture: str) -> int:
        """Side of the base's input, pixels."""
        return self.input_sizes[architecture][0]

    def base(self, architecture: str) -> Candidate:
        """Variant of `architecture` in which nothing is changed."""
        return Candidate(architecture=architecture, input_size=self.base_size(architecture))

    def candidates(self) -> tuple[Candidate, ...]:
        """Every combination once, in a fixed order."""
        schemes = dict.fromkeys([Scheme.FP32, *self.schemes])
        return tuple(
            Candidate(architecture=name, prune_ratio=ratio, scheme=scheme, input_size=size)
            for name in self.architectures
            for scheme in schemes
            for size in dict.fromkeys(self.input_sizes[name])
            for ratio in (None, *sorted(set(self.ratios)))
        )

    def name(self, candidate: Candidate) -> str:
        """Name as variants have it: `resnet18-p30-sq8-r48`, `resnet18-base`."""
        spec = candidate.spec(self.base_size(candidate.architecture))
        return f"{candidate.architecture}-{spec.suffix(candidate.input_size)}"

    def changes(self, candidate: Candidate) -> frozenset[tuple[str, object]]:
        """What sets `candidate` apart from its base, as pairs of field and value."""
        base = self.base(candidate.architecture)
        fields = ("prune_ratio", "scheme", "input_size")
        return frozenset(
            (field, getattr(candidate, field))
            for field in fields
            if getattr(candidate, field) != getattr(base, field)
        )


def smaller_inputs(base_size: int) -> tuple[int, ...]:
    """Sides of inputs to try for a network, its own first: 224, 192, 160, 128; 64, 56, 48, 40."""
    steps = [max(1, int(base_size * share / _SIZE_STEP + 0.5)) for share in _SMALLER_INPUTS]
    smaller = [step * _SIZE_STEP for step in steps if step * _SIZE_STEP < base_size]
    return tuple(dict.fromkeys([base_size, *smaller]))
