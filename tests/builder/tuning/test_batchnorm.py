"""Statistics taken anew."""

from __future__ import annotations

import copy

import torch
from torch import nn

from builder.tuning.batchnorm import reestimate_statistics
from support.noise_images import noise


def test_statistics_are_the_plain_mean_over_all_batches_and_nothing_else_changes() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3, momentum=0.03), nn.Dropout(), nn.Conv2d(3, 2, 1))
    network.eval()
    norm = network[0]
    before = copy.deepcopy(dict(network.named_parameters()))
    batches = [noise(8) * 3.0 + 1.0, noise(4) - 2.0]

    reestimate_statistics(network, batches)

    mean = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    variance = torch.stack([batch.var(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    assert norm.momentum == 0.03
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
