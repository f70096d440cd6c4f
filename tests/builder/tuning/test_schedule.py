"""Course of the learning rate."""

from __future__ import annotations

import torch

from builder.tuning.schedule import Optimizer, Schedule


def test_one_cycle_rises_to_the_peak_and_ends_low() -> None:
    schedule = Schedule(
        epochs=1, batch_size=2, learning_rate=0.1, optimizer=Optimizer.ADAMW, one_cycle=True
    )
    optimizer = schedule.make_optimizer([torch.zeros(1, requires_grad=True)])
    cycle = schedule.make_cycle(optimizer, 50)
    assert cycle is not None

    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cycle.step()

    assert rates[0] < 0.01
    assert 0.09 < max(rates) <= 0.1
    assert rates[-1] < 0.001
