"""A bounded question to a device, and its answers: one image through some variants."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from contract.manifest import Positive, Share, Variant
from contract.topics import Id

#: What fits into one message beside the other fields: base64 makes four bytes of three.
MAX_IMAGE_BYTES = 184 * 1024
MAX_VARIANTS = 64
MAX_DEADLINE_S = 3600.0

QuestionId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}$(?!\n)")]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Run this image through these variants (`request`)."""

    site: Id
    device: Id
    at: float
    #: The device answers each id once; a broker may deliver a request twice.
    id: QuestionId
    #: From when the device received it: its clock may be wrong.
    deadline_s: Annotated[float, msgspec.Meta(gt=0.0, le=MAX_DEADLINE_S)]
    #: An image file, such as a JPEG.
    image: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_IMAGE_BYTES)]
    #: Empty: the active one, or the baseline where none is active.
    variants: Annotated[list[Variant], msgspec.Meta(max_length=MAX_VARIANTS)] = []
    threads: Positive = 1
    top_k: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5


class AnswerStatus(enum.StrEnum):
    """What became of one variant of a question."""

    ANSWERED = "answered"
    #: Not tried: the device is busy, the variant is not there, or the image is at fault.
    REFUSED = "refused"
    #: Tried, and the variant did not run.
    FAILED = "failed"
    #: The deadline passed first.
    LATE = "late"


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """One of the most probable classes."""

    label: str
    index: Annotated[int, msgspec.Meta(ge=0)]
    probability: Share


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant says (`answer`); milliseconds, None where it was not run."""

    site: Id
    device: Id
    at: float
    #: Of the request.
    id: QuestionId
    status: AnswerStatus
    reason: str | None = None
    #: None where the whole request was refused.
    variant: Variant | None = None
    #: Which of how many answers to this request.
    number: Positive
    of: Positive
    is_last: bool
    threads: Positive = 1
    #: Best first.
    top: list[Guess] = []
    load_ms: float | None = None
    decode_ms: float | None = None
    preprocess_ms: float | None = None
    inference_ms: float | None = None
    postprocess_ms: float | None = None
