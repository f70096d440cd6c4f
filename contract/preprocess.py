"""The one path from an image to a network's input, shared by builder and agent.

Accuracy on the workstation and answers on the box are only comparable when both see the
same pixels. Pillow and torch are the callers': the functions here use the objects that
they are given, so the contract itself depends on neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from contract.manifest import Interpolation

if TYPE_CHECKING:
    from PIL.Image import Image

    from contract.manifest import Preprocessing

Array = TypeVar("Array", bound=Any)

#: Pillow's numbers for its filters (PIL.Image.Resampling).
_FILTER = {Interpolation.BILINEAR: 2, Interpolation.BICUBIC: 3}


def crop_pixels(image: Image, rule: Preprocessing) -> Image:
    """RGB image of `input_size` x `input_size`: shorter side resized, centre cut.

    The rounding follows torchvision's `Resize` (truncated longer side) and `CenterCrop`
    (rounded offset), so that published ImageNet accuracies apply.
    """
    rgb = image.convert("RGB")
    width, height = rgb.size
    size, crop = rule.resize_size, rule.input_size
    if width <= height:
        new_size = (size, max(size, int(size * height / width)))
    else:
        new_size = (max(size, int(size * width / height)), size)
    if new_size != rgb.size:
        rgb = rgb.resize(new_size, _FILTER[rule.interpolation])
    left = round((new_size[0] - crop) / 2.0)
    top = round((new_size[1] - crop) / 2.0)
    return rgb.crop((left, top, left + crop, top + crop))


def normalize(pixels: Array, mean: Array, std: Array) -> Array:
    """Network input from pixels: scaled to 0..1, then standardised per channel.

    Args:
        pixels: floating point [..., 3, H, W] with values 0..255 (array or tensor).
        mean: [3, 1, 1], in units of the 0..1 scale.
        std: [3, 1, 1], likewise.
    """
    scaled: Array = (pixels / 255.0 - mean) / std
    return scaled
