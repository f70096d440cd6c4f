"""SVG elements as text."""

from __future__ import annotations

from html import escape

_LARGEST = 1.1


def element(name: str, *children: str, **attributes: str | float) -> str:
    """Return an element; `stroke_width` becomes `stroke-width`, `class_` becomes `class`.

    Children are SVG already: text goes through `text_of`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
    )
    inner = "".join(children)
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def text_of(words: str) -> str:
    """Return `words` so that they can stand inside an element."""
    return escape(words, quote=False)


def drawing(width: float, height: float, title: str, *children: str, kind: str = "drawing") -> str:
    """Return a whole drawing that scales with its page up to a little over its own size.

    `title` is for who cannot see it.
    """
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=title,
        class_=kind,
        style=f"max-width:{width * _LARGEST:g}px",
    )


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
