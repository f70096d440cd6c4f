"""Sweeps of all simulated boxes: which run comes next, and what it finds."""

from __future__ import annotations

from contract.benchmark import BenchRun
from fleet.simulating.devices import DeviceLaw
from fleet.simulating.laws import Figures, true_figures
from fleet.simulating.measuring import USUAL_SAMPLES, measure
from fleet.simulating.variants import BASELINE, VariantLaw, set_id_of


class SimulatedBench:
    """Measures variants in turn: all at one thread, then all at every core, and again.

    Args:
        variants: the bundle set of every box.
        seed: another one gives other noise.
        kept_samples: latencies that each run carries; 0 for none.
    """

    def __init__(
        self, variants: tuple[VariantLaw, ...], seed: int, *, kept_samples: int = 0
    ) -> None:
        self.variants = variants
        self.set_id = set_id_of(variants)
        self._seed = seed
        self._kept_samples = kept_samples
        self._baseline = next((one for one in variants if one.name == BASELINE), None)
        #: The law takes a tenth of a millisecond, and says the same each time.
        self._known: dict[tuple[str, str, int], Figures] = {}

    def run(self, device: DeviceLaw, number: int, *, at: float) -> BenchRun:
        """The box's run with a number, from 0; `at` is what its clock shows."""
        sweep, place = divmod(number, len(self.variants))
        threads = device.kind.cores if sweep % 2 else 1
        baseline = self._baseline
        return measure(
            device,
            self.variants[place],
            threads,
            self._seed + sweep,
            # A clock that runs backwards past its beginning is no time at all.
            at=max(at, 0.0),
            set_id=self.set_id,
            figures=self._figures(device, self.variants[place], threads),
            baseline=self._figures(device, baseline, threads) if baseline else None,
            samples=self._kept_samples or USUAL_SAMPLES,
            keeps_samples=self._kept_samples > 0,
        )

    def _figures(self, device: DeviceLaw, variant: VariantLaw, threads: int) -> Figures:
        key = device.device, variant.name, threads
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = true_figures(device, variant, threads)
        return found
