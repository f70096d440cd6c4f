"""Layer by layer: what pruning each costs, as a heat map, and what quantizing each does."""

from __future__ import annotations

import math
from collections.abc import Sequence

from builder.report.labels import text_width
from builder.report.svg import drawing, element, text_of
from builder.report.wording import amount, short_percent, significant
from builder.studies.damage import LayerDamage, NetworkDamage
from builder.studies.sensitivity import LayerSensitivity, Sensitivity

_ROW = 21.0
_GAP = 2.0
_CELL = 58.0
_SIZE = 11.0
_HEAD = 42.0
_BARS = 90.0
_BAR_ROOM = 150.0
_DAMAGE_BARS = 300.0
#: Losses below this many nats look alike: a tenth of what one image in a hundred costs.
_VISIBLE_NATS = 0.01
#: From this depth of colour on, dark figures are not readable.
_DARK = 0.55


def sensitivity_map(sensitivity: Sensitivity) -> str:
    """Rows are groups of layers, columns shares of filters removed, colour the loss added."""
    layers = sensitivity.layers
    ratios = sorted({ratio for layer in layers for ratio in layer.ratios})
    most = max((loss for layer in layers for loss in layer.loss_increase), default=0.0)
    most_macs = max((layer.macs for layer in layers), default=0)
    left = _names_width([layer.layer for layer in layers])
    width = left + len(ratios) * _CELL + _BAR_ROOM
    height = _HEAD + len(layers) * _ROW + 6
    parts = [
        _text("filters removed", left, 13, "axis-title"),
        _text("MACs", left + len(ratios) * _CELL + 14, 13, "axis-title"),
    ]
    for column, ratio in enumerate(ratios):
        x = left + (column + 0.5) * _CELL
        parts.append(_text(short_percent(ratio), x, _HEAD - 8, "tick middle"))
    for row, layer in enumerate(layers):
        y = _HEAD + row * _ROW
        parts.append(_text(layer.layer, left - 10, y + 14, "row end"))
        for ratio, loss in zip(layer.ratios, layer.loss_increase, strict=False):
            x = left + ratios.index(ratio) * _CELL
            depth = depth_of_colour(loss, most)
            parts.append(_cell(_loss_words(layer, ratio, loss), loss, depth, x=x, y=y))
        x = left + len(ratios) * _CELL + 14
        share = layer.macs / most_macs if most_macs else 0.0
        parts += [
            element(
                "rect", x=x, y=y + 5, width=max(1.0, share * _BARS), height=_ROW - 12, class_="work"
            ),
            _text(amount(layer.macs), x + share * _BARS + 6, y + 14, "tick"),
        ]
    title = f"what pruning each group of {sensitivity.architecture} does"
    return drawing(width, height, title, *parts)


def damage_bars(damage: NetworkDamage) -> str:
    """One bar a layer, in the network's order: how far its quantization moves the answers."""
    most = max((layer.kl_nats for layer in damage.layers), default=0.0)
    left = _names_width([layer.layer for layer in damage.layers])
    parts = []
    for row, layer in enumerate(damage.layers):
        y = row * _ROW + 4
        length = _DAMAGE_BARS * (max(0.0, layer.kl_nats) / most if most > 0 else 0.0)
        parts += [
            _text(layer.layer, left - 10, y + 14, "row end"),
            element(
                "g",
                element("title", text_of(_damage_words(layer))),
                element("rect", x=left, y=y + 3, width=max(1.0, length), height=_ROW - 8, rx=2),
                class_="damage",
            ),
            _text(significant(layer.kl_nats, 2), left + length + 8, y + 14, "tick"),
        ]
    width = left + _DAMAGE_BARS + 90
    title = f"divergence that quantizing each layer of {damage.network} causes"
    return drawing(width, len(damage.layers) * _ROW + 10, title, *parts)


def depth_of_colour(loss: float, most: float) -> float:
    """How strongly to colour a loss, 0 to 1: by ratios, since a few layers dwarf the rest."""
    if loss <= 0 or most <= 0:
        return 0.0
    return min(1.0, math.log1p(loss / _VISIBLE_NATS) / math.log1p(most / _VISIBLE_NATS))


def _loss_words(layer: LayerSensitivity, ratio: float, loss: float) -> str:
    removed = f"{short_percent(ratio)} of {layer.channels} filters of {layer.layer}"
    together = f" with {', '.join(layer.coupled)}" if layer.coupled else ""
    return f"{removed}{together}: the answers move by {significant(loss)} nats"


def _cell(words: str, loss: float, depth: float, *, x: float, y: float) -> str:
    kind = "middle deep" if depth > _DARK else "middle"
    return element(
        "g",
        element("title", text_of(words)),
        element(
            "rect",
            x=x,
            y=y,
            width=_CELL - _GAP,
            height=_ROW - _GAP,
            rx=2,
            fill_opacity=0.05 + 0.95 * depth,
        ),
        _text(_short(loss), x + (_CELL - _GAP) / 2, y + 14, kind),
        class_="heat",
    )


def _short(loss: float) -> str:
    return "0" if abs(loss) < _VISIBLE_NATS / 10 else significant(loss, 2)


def _damage_words(layer: LayerDamage) -> str:
    distance = significant(layer.kl_nats)
    return f"{layer.layer}: quantized alone, {distance} nats from the answers in floats"


def _names_width(names: Sequence[str]) -> float:
    return max((text_width(name, _SIZE) for name in names), default=0.0) + 26


def _text(words: str, x: float, y: float, kind: str) -> str:
    return element("text", text_of(words), x=x, y=y, class_=kind)
