"""The best classes and their probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from agent.errors import NetworkError
from agent.predictions import rank


def test_the_best_classes_come_first_with_softmax_probabilities() -> None:
    """Probabilities are those of softmax over all classes, not of the shown ones."""
    top = rank(np.log(np.array([0.1, 0.6, 0.3], np.float32)), ["ant", "bee", "cat"], 2)
    assert [(r.label, r.index) for r in top] == [("bee", 1), ("cat", 2)]
    assert [r.probability for r in top] == pytest.approx([0.6, 0.3])


def test_huge_logits_do_not_overflow() -> None:
    """A saturated network still gives numbers."""
    top = rank(np.array([1e4, -1e4], np.float32), ["ant", "bee"], 3)
    assert [r.probability for r in top] == [1.0, 0.0]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_no_answer(odd: float) -> None:
    """A probability that is none would go to whoever asked."""
    with pytest.raises(NetworkError, match="no finite numbers"):
        rank(np.array([1.0, odd], np.float32), ["ant", "bee"], 1)


def test_a_class_without_a_label_goes_by_its_number() -> None:
    """A short list of labels is no reason to fail."""
    assert rank(np.array([0.0, 9.0], np.float32), ["ant"], 1)[0].label == "1"
