"""What a bundle says of itself: the manifest inside every variant."""

from __future__ import annotations

import enum
from typing import Annotated, TypeVar

import msgspec

from contract.errors import BundleDamagedError, NewerSchemaError

SCHEMA = 1

VARIANT_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,127}$"
#: In Python `$` alone takes a line feed at the end.
Variant = Annotated[str, msgspec.Meta(pattern=rf"{VARIANT_PATTERN}(?!\n)")]
#: What a database's column of integers holds.
_MOST = 2**63 - 1
Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=_MOST)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Format(enum.StrEnum):
    """How the network is stored; only the format modules know more than this name."""

    TORCHSCRIPT = "torchscript"


class Scheme(enum.StrEnum):
    """How weights and activations are represented."""

    FP32 = "fp32"
    DYNAMIC_INT8 = "dynamic-int8"
    STATIC_INT8 = "static-int8"
    #: Brain floating point, 16 bits: pays where the processor multiplies it.
    BF16 = "bf16"


class AccuracyKind(enum.StrEnum):
    """What top-k was measured against."""

    LABELS = "labels"
    AGREEMENT = "agreement"


class Interpolation(enum.StrEnum):
    """Resampling filter of the resize."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """From a decoded image to the network's input.

    RGB, resize so that the shorter side is `resize_size` (aspect kept), cut the central
    `input_size` square, scale to 0..1, then subtract `mean` and divide by `std` per channel.
    """

    input_size: Positive
    resize_size: Positive
    interpolation: Interpolation = Interpolation.BILINEAR
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class PrunedLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One convolution's output channels before and after surgery."""

    name: str
    channels_before: Positive
    channels_after: Positive


class Pruning(msgspec.Struct, frozen=True, kw_only=True):
    """Structured pruning: whole filters removed, no masks left."""

    #: Share of the filters of each chosen layer; where layers lose shares of their own, the
    #: one that would cost as many MACs if all lost the same.
    ratio: Share
    importance: str
    #: `uniform`, or `sensitivity`: each layer loses what it can spare.
    allotment: str = "uniform"
    #: What the channels that are left are a multiple of, where that was asked for.
    round_to: Positive = 1
    layers: list[PrunedLayer]
    #: Convolutions that were to lose filters and could not, each with the reason.
    left_alone: list[str] = []


class Quantization(msgspec.Struct, frozen=True, kw_only=True):
    """Integer arithmetic in the bundle, and the engine it was prepared for."""

    scheme: Scheme
    engine: str | None = None
    int8_mac_share: Share = 0.0
    calibration_images: Count = 0
    #: Layers kept in floats because their quantization was measured to cost accuracy.
    float_layers: list[str] = []


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """Fine-tuning after surgery or for a smaller input."""

    epochs: Count
    optimizer: str
    learning_rate: float
    images: Count
    #: Whether it learned from the base model's answers instead of labels.
    distilled: bool = False
    #: Rounds of pruning and tuning that led here.
    rounds: Positive = 1
    #: Side of the inputs that it was tuned on last.
    input_size: Positive | None = None


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Top-k shares of the exported file as loaded back.

    `kind` tells correct labels from mere agreement with the baseline's top-1, which stands
    in where a folder has no labels.
    """

    kind: AccuracyKind
    top1: Share
    top3: Share
    top5: Share
    images: Positive
    dataset: str
    engine: str | None = None
    #: Which images were right, so that variants can be compared image by image: one bit each
    #: in the order of the data set's sorted paths, highest bit first, in base64.
    hits: str | None = None


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One block of the network: its weights and its work for one image."""

    name: str
    parameters: Count
    bytes: Count
    macs: Count


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """When and from what the bundle was built."""

    built_at: str
    edgewright: str
    torch: str
    torchvision: str | None
    weights: str
    data: str
    seed: int
    #: Hash over everything that decides the result; a rerun with the same one is skipped.
    inputs_sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest of one bundle (`manifest.json`)."""

    schema: Positive = SCHEMA
    variant: Variant
    family: str
    architecture: str
    format: Format = Format.TORCHSCRIPT
    recipe: str
    pruning: Pruning | None = None
    quantization: Quantization
    tuning: Tuning | None = None
    preprocessing: Preprocessing
    classes: Positive
    parameters: Count
    #: Non-zero weights, quantized ones unpacked.
    active_parameters: Count
    macs: Count
    state_dict_bytes: Count
    accuracy: Accuracy
    #: Poolings that enlarged their input and went, exactly, into the Linear behind them: it has
    #: fewer weights than the base's.
    folded_pools: list[str] = []
    #: Torch versions that this bundle's golden vectors were reproduced with.
    torch_versions: list[str]
    blocks: list[Block] = []
    provenance: Provenance


Document = TypeVar("Document", bound=msgspec.Struct)


class _Schema(msgspec.Struct):
    schema: int


def decode_manifest(content: bytes, *, source: str) -> Manifest:
    """Decode and check a manifest; `source` names it in errors.

    Raises:
        NewerSchemaError: written by a later Edgewright.
        BundleDamagedError: not JSON, or a field is missing or of the wrong type.
    """
    return decode_document(content, Manifest, supported=SCHEMA, source=source)


def decode_document(
    content: bytes,
    kind: type[Document],
    *,
    supported: int,
    source: str,
) -> Document:
    """Decode a versioned JSON document, telling a newer schema from a damaged file."""
    try:
        schema = msgspec.json.decode(content, type=_Schema).schema
        if schema > supported:
            raise NewerSchemaError(source, schema, supported)
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        message = f"{source}: {error}; the file is damaged or edited: copy or build it again"
        raise BundleDamagedError(message) from error
