"""Figures as a person reads them."""

from __future__ import annotations

import math

from contract.manifest import Scheme

_SCHEMES = {
    Scheme.FP32: "FP32",
    Scheme.DYNAMIC_INT8: "dynamic INT8",
    Scheme.STATIC_INT8: "static INT8",
    Scheme.BF16: "BF16",
}
_MINUS = "\N{MINUS SIGN}"
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_ROUND = 100


def scheme_words(scheme: Scheme) -> str:
    """Name of a scheme in a sentence."""
    return _SCHEMES.get(scheme, str(scheme))


def significant(value: float, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits and no exponent."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - _magnitude(rounded))
    return f"{rounded:,.{decimals}f}".replace("-", _MINUS)


def amount(value: float) -> str:
    """Return a large count with its unit prefix: 37.0 M."""
    for unit, prefix in _UNITS:
        if abs(value) >= unit:
            return f"{significant(value / unit)} {prefix}"
    return significant(value)


def tick_words(value: float) -> str:
    """Return a round value without zeros behind it."""
    return f"{value:g}"


def tick_amount(value: float) -> str:
    """Return a large round count with its unit prefix: 50 M."""
    for unit, prefix in _UNITS:
        if value >= unit:
            return f"{value / unit:g} {prefix}"
    return f"{value:g}"


def percent(share: float, decimals: int = 1) -> str:
    """Return a share in percent."""
    return f"{share * 100:.{decimals}f} %".replace("-", _MINUS)


def short_percent(share: float) -> str:
    """Return a share in percent, with a decimal only where it has one."""
    return percent(share, 0 if math.isclose(share * 100, round(share * 100)) else 1)


def points(share: float) -> str:
    """Return a difference of shares in percentage points, without its sign."""
    text = f"{abs(share) * 100:.1f}"
    return f"{text} point" if text == "1.0" else f"{text} points"


def signed_points(share: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    text = f"{share * 100:+.1f}".replace("-", _MINUS)
    return "0.0" if text[1:] == "0.0" else text


def times(ratio: float) -> str:
    """Return a ratio as a factor."""
    return f"{significant(ratio, 2 if ratio >= _ROUND else 3)}\N{MULTIPLICATION SIGN}"


def _magnitude(value: float) -> int:
    return int(f"{abs(value):e}".partition("e")[2])
