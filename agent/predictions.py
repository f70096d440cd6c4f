"""From logits to the best classes and their probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agent.errors import NetworkError
from agent.protocol import Ranked


def rank(logits: npt.NDArray[np.float32], labels: list[str], top_k: int) -> list[Ranked]:
    """Return the `top_k` most probable classes, best first; probabilities by softmax.

    Args:
        logits: [classes].
        labels: one a class, in output order; a class without one goes by its number.
        top_k: how many; fewer where the network has fewer classes.

    Raises:
        NetworkError: a logit is no finite number, so that nothing is more probable than the rest.
    """
    if not np.isfinite(logits).all():
        message = (
            "the network answers with logits that are no finite numbers; expected such as its "
            "golden vectors have, so build the bundle again"
        )
        raise NetworkError(message)
    # Softmax is unchanged by a shift, and large logits overflow without one.
    weights = np.exp(logits.astype(np.float64) - float(logits.max()))
    probabilities = weights / weights.sum()
    # Stable, so that equal classes come in their own order on every box.
    best = np.argsort(-probabilities, kind="stable")[:top_k]
    return [
        Ranked(
            label=labels[i] if i < len(labels) else str(i),
            index=int(i),
            probability=float(probabilities[i]),
        )
        for i in best
    ]
