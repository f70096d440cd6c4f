"""What every framework makes its contenders from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lib.contender import Contender, Floats, Framework
from benchmarks.lib.onnx_file import write_onnx
from benchmarks.lib.subject import Subject
from builder.progress import Progress
from contract.manifest import Scheme

_SHORT = {Scheme.FP32: "fp32", Scheme.STATIC_INT8: "int8"}


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One network, and where files of it may be written."""

    subject: Subject
    scratch: Path
    has_int8_dot_products: bool
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class OnnxSource:
    """The network as an ONNX file, for the frameworks that start there."""

    path: Path
    #: What writing it took; it counts into the build time of each that reads it.
    seconds: float

    @classmethod
    def written(cls, setup: Setup) -> OnnxSource:
        """Write the file into the scratch folder."""
        subject = setup.subject
        setup.scratch.mkdir(parents=True, exist_ok=True)
        path = setup.scratch / f"{subject.architecture}.onnx"
        size = subject.rule.input_size
        return cls(path=path, seconds=timed(lambda: write_onnx(subject.network, path, size)))

    def contender(
        self,
        setup: Setup,
        framework: Framework,
        scheme: Scheme,
        logits: Callable[[Floats], Floats],
        *,
        size: int,
        seconds: float,
    ) -> Contender:
        """Contender that `framework` made of the file in `seconds`, `size` bytes on disk."""
        return Contender(
            name=f"{framework} {_SHORT[scheme]}",
            framework=framework,
            scheme=scheme,
            rule=setup.subject.rule,
            macs=setup.subject.macs,
            bytes=size,
            build_s=self.seconds + seconds,
            logits=logits,
        )


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` took."""
    started = time.monotonic()
    work()
    return time.monotonic() - started
