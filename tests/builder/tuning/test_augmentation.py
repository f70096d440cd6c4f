"""Other views of the same images."""

from __future__ import annotations

import numpy as np
import torch

from builder.tuning.augmentation import mirrored, mixed, shifted


def _pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), dtype=np.uint8)


def test_every_second_image_is_mirrored_and_the_others_are_as_they_were() -> None:
    pixels = _pixels()

    views = mirrored(pixels, np.random.default_rng(1))

    turned = [np.array_equal(view, one[:, ::-1]) for view, one in zip(views, pixels, strict=True)]
    same = [np.array_equal(view, one) for view, one in zip(views, pixels, strict=True)]
    assert all(one != other for one, other in zip(turned, same, strict=True))
    assert 16 < sum(turned) < 48
    assert np.array_equal(pixels, _pixels())


def test_shifted_images_keep_their_size_and_move_by_one_pixel_in_sixteen() -> None:
    ramp = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None, None], (64, 16, 16, 3))

    views = shifted(ramp, np.random.default_rng(1))

    assert (views.shape, views.dtype) == ((64, 16, 16, 3), np.uint8)
    assert set(views[:, 8, 8, 0].tolist()) == {7, 8, 9}


def test_mixed_inputs_lie_between_the_two_images() -> None:
    inputs = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 3, 4, 4)

    views = mixed(inputs, 0.5, np.random.default_rng(1))

    assert (views.shape, views.dtype) == (inputs.shape, torch.float32)
    assert 0.0 <= float(views.min()) < float(views.max()) <= 1.0
    assert all(float(view.max() - view.min()) == 0.0 for view in views)


def test_the_same_seed_gives_the_same_views() -> None:
    for augment in (shifted, mirrored):
        one, same, other = (augment(_pixels(), np.random.default_rng(s)) for s in (1, 1, 2))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)
