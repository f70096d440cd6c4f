"""Networks as users write them whose forward FX cannot trace, each for its own reason."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 8


class PaddedConv2d(nn.Conv2d):
    """Computes its padding from what comes."""

    def forward(self, images: Tensor) -> Tensor:
        missing = math.ceil(images.shape[-1] / 2) * 2 + 1 - images.shape[-1]
        if missing > 0:
            sides = [missing // 2, missing - missing // 2] * 2
            images = functional.pad(images, sides)
        return functional.conv2d(images, self.weight, self.bias, self.stride, 0)


class Padded(nn.Module):
    """Two such convolutions with ReLU6 between, one padded evenly and one not."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.first = PaddedConv2d(3, CHANNELS, 3, stride=2)
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.second = PaddedConv2d(CHANNELS, CHANNELS, 3, stride=2)
        self.fc = nn.Linear(CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        inner = functional.relu6(self.norm(self.first(images)))
        inner = functional.relu6(self.second(inner))
        return self.fc(inner.mean(dim=(2, 3)).view(images.shape[0], -1))


class Standardized(nn.Conv2d):
    """Takes the mean out of its weights each time."""

    def forward(self, images: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return functional.conv2d(images, weight, self.bias, padding=self.padding)


class Nested(nn.Conv2d):
    """A convolution with its batch norm inside."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding="same", bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, images: Tensor) -> Tensor:
        return functional.relu(self.norm(super().forward(images)), inplace=True)


class Functional(nn.Module):
    """Calls functions on the parameters of modules and on its own."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.conv = Standardized(3, CHANNELS, 3, padding=1)
        self.nested = Nested(CHANNELS, CHANNELS)
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.even = nn.Conv2d(CHANNELS, CHANNELS, 2, padding="same")
        self.weight = nn.Parameter(torch.randn(num_classes, CHANNELS))

    def forward(self, images: Tensor) -> Tensor:
        inner = self.nested(self.conv(images))
        norm = self.norm
        inner = functional.batch_norm(
            inner, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        inner = self.even(inner)
        if inner.shape[-1] > CHANNELS:
            inner = functional.interpolate(inner, size=(inner.size(2) // 2, inner.size(3) // 2))
        left, right = inner.chunk(2, dim=1)
        pooled = torch.cat([right, left], dim=1).mean(dim=[2, 3])
        pooled += 1
        return functional.linear(pooled, self.weight)


class Windows(nn.Module):
    """Puts windows of the image into the batch, and a token per image beside them."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, CHANNELS, 1)
        self.token = nn.Parameter(torch.randn(1, 1, CHANNELS))
        self.mix = nn.Linear(CHANNELS, CHANNELS)
        self.fc = nn.Linear(CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        count, _, rows, columns = images.shape
        if rows % 4:
            images = functional.pad(images, (0, 4 - columns % 4, 0, 4 - rows % 4))
        inner = self.embed(images).view(count, CHANNELS, rows // 4, 4, columns // 4, 4)
        windows = inner.permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, CHANNELS)
        mixed = functional.relu(self.mix(windows)).view(count, -1, CHANNELS)
        tokens = self.token.expand(count, -1, -1)
        joined = torch.cat([tokens, mixed], dim=1)
        return self.fc(joined.mean(dim=1) + joined[:, 0])


class OnlyOne(nn.Module):
    """Refuses more than one image."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 3)
        self.fc = nn.Linear(CHANNELS, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[0] != 1:
            raise ValueError(images.shape)
        return self.fc(self.conv(images).mean(dim=(2, 3)))


class Hidden(nn.Module):
    """Works where torch does not tell: in NumPy."""

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] > 1:
            return torch.from_numpy(images.detach().numpy().mean(axis=(2, 3)))
        return images


class Writing(nn.Module):
    """Writes into a part of a tensor."""

    def forward(self, images: Tensor) -> Tensor:
        pooled = images.mean(dim=(2, 3))
        pooled[:, 0] = 0.5
        return pooled
