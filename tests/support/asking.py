"""Questions to a device, with pictures of their own."""

from __future__ import annotations

import io
import uuid
from typing import Any

from PIL import Image

from contract.question import Request


def picture(color: tuple[int, int, int] = (200, 120, 40)) -> bytes:
    """File of a small picture in one colour."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(file, format="PNG")
    return file.getvalue()


def bomb() -> bytes:
    """File of a few kilobytes that would decode to 400 megapixels."""
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, format="PNG")
    return file.getvalue()


def make_request(*variants: str, **fields: Any) -> Request:  # noqa: ANN401 - any field
    """A request to lab/box with a name of its own."""
    given: dict[str, Any] = {
        "site": "lab",
        "device": "box",
        "at": 0.0,
        "id": uuid.uuid4().hex,
        "deadline_s": 120.0,
        "image": picture(),
        "variants": list(variants),
        "top_k": 2,
    }
    return Request(**(given | fields))
