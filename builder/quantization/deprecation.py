"""Torch's warnings about the future of its own quantization."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

_DEPRECATED = (
    r"torch\.ao\.quantization is deprecated",
    r"torch\.quantize_per_tensor, torch\.quantize_per_channel and other .* are deprecated",
    r"Please use quant_min and quant_max to specify the range for observers",
)


@contextlib.contextmanager
def deprecations_filtered() -> Iterator[None]:
    """Keep quiet about what torch says of its own future; the ADR on formats has the way out."""
    with warnings.catch_warnings():
        for message in _DEPRECATED:
            warnings.filterwarnings("ignore", message=message)
        yield
