"""Networks of a user's own, small enough for unit tests; found as `tiny_networks:NAME`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = 16


def _layer(inputs: int, outputs: int, *, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False, groups=groups),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Head(nn.Module):
    """Average over the image, then one Linear."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.mean(dim=(2, 3)))


def chain(num_classes: int = 3) -> nn.Module:
    """Four convolutions in a row."""
    return nn.Sequential(
        _layer(3, CHANNELS), nn.MaxPool2d(2), _layer(CHANNELS, CHANNELS),
        _layer(CHANNELS, 30), _layer(30, 20), Head(20, num_classes),
    )  # fmt: skip


class Joined(nn.Module):
    """A residual sum and a concatenation in the deeper half."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _layer(3, CHANNELS), _layer(CHANNELS, CHANNELS), _layer(CHANNELS, CHANNELS),
            _layer(CHANNELS, CHANNELS),
        )  # fmt: skip
        self.entry = _layer(CHANNELS, 20)
        self.residual = _layer(20, 20)
        self.left = _layer(20, 10)
        self.right = _layer(20, 30)
        self.head = Head(40, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        entered = self.entry(self.stem(images))
        joined = entered + self.residual(entered)
        return self.head(torch.cat([self.left(joined), self.right(joined)], dim=1))


class Gridded(nn.Module):
    """As VGG ends: pooled to a grid, flattened, and three Linears."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.pool = nn.AdaptiveAvgPool2d(3)
        self.head = nn.Sequential(
            nn.Linear(CHANNELS * 9, 40), nn.ReLU(), nn.Dropout(),
            nn.Linear(40, 32), nn.ReLU(), nn.Dropout(),
            nn.Linear(32, num_classes),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.flatten(self.pool(self.body(images)), 1))


class LongSkip(nn.Module):
    """The last convolution is summed with the first, which the deeper half leaves out."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.first = _layer(3, CHANNELS)
        self.second = _layer(CHANNELS, CHANNELS)
        self.third = _layer(CHANNELS, 20)
        self.fourth = _layer(20, CHANNELS)
        self.head = Head(CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        start = self.first(images)
        return self.head(start + self.fourth(self.third(self.second(start))))


class Grouped(nn.Module):
    """The deeper half is one grouped convolution and what feeds it."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.first = _layer(3, CHANNELS)
        self.second = _layer(CHANNELS, CHANNELS)
        self.third = _layer(CHANNELS, CHANNELS)
        self.fourth = _layer(CHANNELS, CHANNELS, groups=4)
        self.head = Head(CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.fourth(self.third(self.second(self.first(images)))))


class AllConvolutions(nn.Module):
    """No Linear: the last convolution's channels are the classes."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.first = _layer(3, CHANNELS)
        self.last = nn.Conv2d(CHANNELS, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.first(images)).mean(dim=(2, 3))


class Chooser(nn.Module):
    """Decides by the values that it sees, which symbolic tracing cannot follow."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, images: Tensor) -> Tensor:
        if float(images.detach().abs().mean()) > self.threshold:
            return images
        return -images


class Choosing(nn.Module):
    """`Chooser` inside a network; at a threshold of -1 it always takes the same path."""

    def __init__(self, num_classes: int = 3, threshold: float = -1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(_layer(3, CHANNELS), Chooser(threshold), _layer(CHANNELS, 20))
        self.head = Head(20, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


def fickle(num_classes: int = 3) -> nn.Module:
    """Takes one path or the other from image to image: no trace can be true to it."""
    network = Choosing(num_classes)
    network.body = nn.Sequential(Flip(), *network.body)
    return network


class Flip(nn.Module):
    """Turns the image into its negative where its middle is bright."""

    def forward(self, images: Tensor) -> Tensor:
        size = images.shape[-1] // 2
        return -images if float(images.detach()[0, 0, size, size]) > 0 else images


class OneByOne(nn.Module):
    """Has the batch size of one baked in."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.body = _layer(3, CHANNELS)
        self.fc = nn.Linear(CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.body(images).mean(dim=(2, 3)).reshape(1, CHANNELS))


def fixed_width() -> nn.Module:
    """Takes no number of classes; it has seven."""
    return chain(7)


def pair(num_classes: int = 3) -> nn.Module:
    """Answers with a tuple instead of logits."""

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = chain(num_classes)

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            logits = self.network(images)
            return logits, logits

    return Pair()


def broken() -> nn.Module:
    """Cannot even be made."""
    message = "no such luck"
    raise OSError(message)


def leaving() -> nn.Module:
    """Ends the program, as a script that was never meant to be imported does."""
    raise SystemExit(3)


class _Forgetful(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        message = "no such layer"
        if images.ndim:
            raise KeyError(message)
        return images


def forgetful() -> nn.Module:
    """Fails with an error whose words alone say little."""
    return _Forgetful()


def not_a_network() -> str:
    """Makes something else."""
    return "a string"


#: Of the same name as `chain` once names are in lower case.
Chain = chain


def wide(num_classes: int = 3) -> nn.Module:
    """Weighs over a megabyte."""
    return nn.Sequential(_layer(3, CHANNELS), Head(CHANNELS, 18000), nn.Linear(18000, num_classes))
