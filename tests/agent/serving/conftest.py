"""One server for the tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.serving.choice import Chooser
from agent.serving.patience import Limits, Patience
from support.serving import Serving, serving


@pytest.fixture(scope="module")
def server(good_set: Path) -> Iterator[Serving]:
    """Serves tiny-sq8; with small limits and little patience."""
    limits = Limits(body_bytes=200_000, bodies_bytes=250_000, head_bytes=4096, connections=20)
    patience = Patience(head_s=0.5, body_s=0.5)
    chooser = Chooser(good_set, variant="tiny-sq8")
    with serving(chooser, limits=limits, patience=patience) as it:
        yield it
