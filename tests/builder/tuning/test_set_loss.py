"""Cross entropy where several outputs are right."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from builder.tuning.set_loss import membership_of, set_loss


def _logits() -> torch.Tensor:
    noise = torch.Generator().manual_seed(0)
    return (torch.randn(6, 5, generator=noise) * 20).requires_grad_()


def test_with_one_right_output_each_it_is_cross_entropy_and_pulls_the_same_way() -> None:
    targets = [0, 1, 2, 3, 4, 0]
    ours, theirs = _logits(), _logits()

    loss = set_loss(ours, membership_of([(target,) for target in targets], 5))
    expected = cross_entropy(theirs, torch.tensor(targets))
    loss.backward()
    expected.backward()

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_probabilities_of_a_set_add_up() -> None:
    logits = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]).log()

    loss = set_loss(logits, membership_of([(0, 2), (1,)], 3))

    assert float(loss) == pytest.approx(-(math.log(0.7) + math.log(0.1)) / 2)


def test_nothing_pulls_within_a_set_that_has_all_the_probability() -> None:
    logits = torch.tensor([[3.0, 1.0, -200.0]], requires_grad=True)

    set_loss(logits, membership_of([(0, 1)], 3)).backward()

    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-6


def test_membership_marks_the_right_outputs_of_each_image() -> None:
    assert membership_of([(0, 2), (1,)], 3).tolist() == [[True, False, True], [False, True, False]]
