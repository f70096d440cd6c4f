"""EfficientNet-Lite0 with its ImageNet weights: a real network that FX cannot trace."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from builder.data.declared_input import declared_input
from builder.networks.complexity import count_work
from builder.progress import Silence
from builder.quantization.calibration import Calibration
from builder.quantization.coverage import int8_macs
from builder.quantization.damage import damage_by_layer
from builder.quantization.engine import Engine, engine_obstacle, engine_selected
from support.noise_images import NETWORKS

# As a user's own network is found.
sys.path.insert(0, str(NETWORKS))
lite0 = importlib.import_module("efficientnet_lite0")

_CROPS = 8
#: Depthwise convolutions are fastest by onednn, which is right only where there is VNNI.
_ENGINE = Engine.X86 if engine_obstacle(Engine.ONEDNN) else Engine.ONEDNN
_PALACE, _DAISY = 698, 985


def _crops() -> Iterator[Tensor]:
    """Parts of two photographs, every other one mirrored."""
    places = np.random.default_rng(0)
    for photograph in map(Image.fromarray, load_sample_images().images):
        for number in range(_CROPS):
            side = int(places.integers(lite0.INPUT_SIZE, photograph.height + 1))
            left = int(places.integers(0, photograph.width - side + 1))
            top = int(places.integers(0, photograph.height - side + 1))
            part = photograph.crop((left, top, left + side, top + side))
            pixels = np.asarray(part.resize((lite0.INPUT_SIZE, lite0.INPUT_SIZE)))
            image = torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255
            yield (image.flip(-1) if number % 2 else image).sub(lite0.MEAN).div(lite0.STD)


@dataclass(frozen=True)
class _Case:
    network: nn.Module
    calibration: Calibration
    inputs: list[Tensor]
    exam: Tensor
    expected: Tensor

    def error(self, network: nn.Module) -> float:
        """Root mean square error of the logits, as a share of their deviation."""
        with torch.inference_mode():
            logits = network(self.exam)
        return float((logits - self.expected).square().mean().sqrt() / self.expected.std())


@pytest.fixture(scope="module")
def case() -> Iterator[_Case]:
    network = lite0.with_imagenet_weights()
    images = torch.stack(list(_crops()))
    inputs = list(images[::2].split(4))
    with torch.inference_mode():
        expected = network(images[1::2])
    with engine_selected(_ENGINE):
        calibration = Calibration(network, inputs, _ENGINE)
        yield _Case(network, calibration, inputs, images[1::2], expected)


@pytest.fixture(scope="module")
def quantized(case: _Case) -> nn.Module:
    return case.calibration.convert()


def test_the_weights_know_a_palace_and_a_daisy(case: _Case) -> None:
    halves = case.expected.softmax(dim=1).chunk(2)
    assert [int(half.mean(dim=0).argmax()) for half in halves] == [_PALACE, _DAISY]


def test_it_says_itself_how_its_input_is_to_be(case: _Case) -> None:
    rule = declared_input(case.network, "lite0")
    assert rule is not None
    assert (rule.input_size, rule.mean, rule.std) == (
        lite0.INPUT_SIZE, (lite0.MEAN,) * 3, (lite0.STD,) * 3,
    )  # fmt: skip


def test_all_of_its_work_is_done_in_int8(case: _Case, quantized: nn.Module) -> None:
    work = count_work(case.network, lite0.INPUT_SIZE)
    assert int8_macs(quantized, case.exam[:1]) == work.total_macs


def test_it_answers_in_int8_as_in_floats(case: _Case, quantized: nn.Module) -> None:
    with torch.inference_mode():
        top1 = quantized(case.exam).argmax(dim=1)
    assert float((top1 == case.expected.argmax(dim=1)).double().mean()) >= 0.75
    assert case.error(quantized) < 0.2


def test_its_first_depthwise_convolutions_hurt_most_and_floats_repair_them(
    case: _Case, quantized: nn.Module
) -> None:
    images = [case.inputs[0][:2]]
    damages = damage_by_layer(case.calibration, images, progress=Silence(), activity="")
    worst = [d.layer for d in sorted(damages, key=lambda d: d.kl_nats, reverse=True)][:3]

    assert len(damages) == 50
    assert {"blocks.0.depthwise", "blocks.1.depthwise"} <= set(worst)
    # By x86, with seven bits for activations, all the others cost more too.
    share = 0.8 if _ENGINE is Engine.ONEDNN else 0.9
    assert case.error(case.calibration.convert(worst)) < share * case.error(quantized)
