"""bfloat16 inside, FP32 outside, by every way in which an agent prepares a network."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from builder.errors import UnsupportedError
from builder.quantization.bfloat16 import to_bfloat16
from contract.manifest import Scheme
from contract.numerics import golden_tolerance
from support.noise_images import NETWORKS, noise

sys.path.insert(0, str(NETWORKS))
untraceable = importlib.import_module("untraceable_networks")

Make = Callable[..., nn.Module]


def _trained(network: nn.Module) -> nn.Module:
    """With batch norms that have something to fold."""
    network.train()
    with torch.no_grad():
        network(noise(8) * 3 + 1)
    return network.eval()


def _prepared(network: nn.Module) -> list[Callable[[Tensor], Tensor]]:
    """As loaded from a file, then frozen, then optimized for inference."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(network, noise(1), check_trace=False), file)
    loaded = []
    for _ in range(3):
        file.seek(0)
        loaded.append(torch.jit.load(file).eval())
    frozen = [torch.jit.freeze(module) for module in loaded[1:]]
    return [loaded[0], frozen[0], torch.jit.optimize_for_inference(frozen[1])]


@pytest.mark.parametrize("name", ["chain", "Joined", "Grouped"])
def test_every_preparation_of_a_bfloat16_network_is_within_the_tolerance(
    make_tiny: Make, name: str
) -> None:
    torch.manual_seed(0)
    network = _trained(make_tiny(name))
    narrow = to_bfloat16(network, noise(1))
    tolerance = golden_tolerance(Scheme.BF16, built_for=None, runs_on=None)
    with torch.inference_mode():
        exact, expected = network(noise(1)), narrow(noise(1))
        span = float(expected.max() - expected.min())
        for run in _prepared(narrow):
            logits = run(noise(1))
            assert logits.dtype is torch.float32
            assert float((logits - expected).abs().max()) <= tolerance * span
    assert 0 < float((exact - expected).abs().max()) <= tolerance * span


def test_weights_are_bfloat16_and_batch_norms_folded(make_tiny: Make) -> None:
    narrow = to_bfloat16(make_tiny("Joined"), noise(1))
    assert {parameter.dtype for parameter in narrow.parameters()} == {torch.bfloat16}
    assert not any(isinstance(module, nn.BatchNorm2d) for module in narrow.modules())
    assert narrow.get_submodule("stem.0.0").bias is not None


def test_batch_norms_are_folded_where_fx_cannot_trace_too() -> None:
    narrow = to_bfloat16(untraceable.Padded().eval(), noise(1))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in narrow.modules())


def test_a_network_stays_in_fp32_itself(make_tiny: Make) -> None:
    network = make_tiny("chain")
    to_bfloat16(network, noise(1))
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_a_network_that_mixes_in_fp32_of_its_own_is_unsupported() -> None:
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(images.float().mean(dim=(2, 3)))

    with pytest.raises(UnsupportedError, match="does not run in bfloat16"):
        to_bfloat16(Mixing().eval(), noise(1))


def test_code_that_views_tensors_as_they_lie_keeps_its_layout() -> None:
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.fc = nn.Linear(4 * 16 * 16, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.conv(images).view(-1, 4 * 16 * 16))

    network = Viewing().eval()
    narrow = to_bfloat16(network, noise(1))
    with torch.inference_mode():
        error = (narrow(noise(4)) - network(noise(4))).abs().max()
    assert float(error) < 0.05
