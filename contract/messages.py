"""The bodies of the wire: one type a leaf, decoded strictly, unknown fields ignored."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from contract.benchmark import BenchRun
from contract.box import Board, CoreType, Disk, Memory
from contract.errors import MessageError
from contract.manifest import Count, Positive, Variant
from contract.question import Answer, Request
from contract.topics import Id, Leaf, Topic, parse_topic

MAX_MESSAGE_BYTES = 256 * 1024

Seq = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Epoch = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}$(?!\n)")]


class Presence(enum.StrEnum):
    """Whether a device is connected."""

    ONLINE = "online"
    OFFLINE = "offline"


class Phase(enum.StrEnum):
    """Where the change to a desired variant stands."""

    IDLE = "idle"
    ACTIVE = "active"
    FAILED = "failed"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Birth or death of one connection (`state`, also the last will).

    A death counts only for the `boot_id` and `connection` that it names: a last will may
    arrive after the next birth.
    """

    site: Id
    device: Id
    presence: Presence
    boot_id: str
    connection: Positive
    at: float


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """What a device is (`inventory`); None where the box does not tell."""

    site: Id
    device: Id
    at: float
    agent: str
    cpu_model: str
    arch: str
    physical_cores: Positive | None = None
    logical_cores: Positive
    usable_cores: Positive
    ram_bytes: Count
    memory_limit_bytes: Count | None = None
    threads: list[Positive] = []
    os: str
    kernel: str
    python: str
    torch: str | None = None
    engines: list[str] = []
    cpu_features: list[str] = []
    max_clock_mhz: float | None = None
    governor: str | None = None
    temperature_c: float | None = None
    throttled: bool | None = None
    throttle_causes: list[str] = []
    #: Whether the box remembers throttling since its start.
    throttled_since_start: bool | None = None
    board: Board | None = None
    #: More than one where cores differ in design or highest clock.
    core_types: list[CoreType] = []
    offline_cores: list[Count] = []
    #: Processor time that control groups allow, in cores.
    cpu_quota_cores: float | None = None
    memory: Memory | None = None
    disks: list[Disk] = []
    #: What tells `power_w` of conditions, such as `pmic`.
    power_source: str | None = None
    #: What tells `energy_mj` of runs, such as `rapl`.
    energy_source: str | None = None
    groups: list[str] = []
    #: What this device stands for where it is emulated on another host.
    emulates: str | None = None
    fingerprint: str
    set_id: str | None = None
    variants: list[str] = []


class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="result"):
    """One benchmark run from a device's outbox (`result`)."""

    site: Id
    device: Id
    epoch: Epoch
    seq: Seq
    run: BenchRun


class Tombstone(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="tombstone"):
    """Outbox places `seq` to `last_seq` that will never come (`result`), and why."""

    site: Id
    device: Id
    epoch: Epoch
    seq: Seq
    last_seq: Seq
    reason: str


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Which variant a device serves, and how far it is with what is desired (`update`)."""

    site: Id
    device: Id
    at: float
    phase: Phase
    active_variant: Variant | None = None
    active_sha256: str | None = None
    generation: Count
    reason: str | None = None


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """The whole desired state of a device (`desired`); a higher generation replaces it."""

    site: Id
    device: Id
    at: float
    generation: Positive
    variant: Variant
    sha256: str
    threads: Positive
    policy: str


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """One outbox message that the fleet will never store, and why."""

    seq: Seq
    reason: str


class StoredPlace(msgspec.Struct, frozen=True, kw_only=True):
    """SHA-256 of the message that is stored in one outbox place, as hexadecimal digits."""

    seq: Seq
    sha256: str


class EpochAck(msgspec.Struct, frozen=True, kw_only=True):
    """What is safe of one outbox: every `seq` up to `through` is stored or closed."""

    through: Count
    rejected: list[Rejection] = []
    #: For the device to compare with its own: place `through`, and places for which other
    #: bytes came than are stored.
    stored: list[StoredPlace] = []


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """What the fleet has *stored* of a device's outboxes (`ack`), by epoch."""

    site: Id
    device: Id
    at: float
    epochs: dict[str, EpochAck]


Message = State | Inventory | Result | Tombstone | Update | Desired | Ack | Request | Answer

_DECODERS: dict[Leaf, msgspec.json.Decoder[Message]] = {
    Leaf.STATE: msgspec.json.Decoder(State),
    Leaf.INVENTORY: msgspec.json.Decoder(Inventory),
    Leaf.RESULT: msgspec.json.Decoder(Result | Tombstone),
    Leaf.UPDATE: msgspec.json.Decoder(Update),
    Leaf.DESIRED: msgspec.json.Decoder(Desired),
    Leaf.ACK: msgspec.json.Decoder(Ack),
    Leaf.REQUEST: msgspec.json.Decoder(Request),
    Leaf.ANSWER: msgspec.json.Decoder(Answer),
}
_ENCODER = msgspec.json.Encoder()


def encode_message(message: Message) -> bytes:
    """JSON bytes of a message, within the wire's size limit.

    Raises:
        MessageError: over 256 KiB; a broker or the fleet would refuse it.
    """
    payload = _ENCODER.encode(message)
    _check_size(payload)
    return payload


def decode_message(topic: str, payload: bytes) -> tuple[Topic, Message]:
    """Parsed topic and message, checked against each other.

    Raises:
        TopicError: the topic is not one of ours.
        MessageError: too large, not JSON, of a wrong type, or with another device's
            identity in its body.
    """
    parsed = parse_topic(topic)
    _check_size(payload)
    try:
        message = _DECODERS[parsed.leaf].decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        text = f"{parsed.leaf.value} message: {error}"
        raise MessageError(text) from error
    if (message.site, message.device) != (parsed.site, parsed.device):
        text = (
            f"{parsed.leaf.value} message of '{message.site}/{message.device}' came under the "
            f"topic of '{parsed.site}/{parsed.device}'"
        )
        raise MessageError(text)
    return parsed, message


def _check_size(payload: bytes) -> None:
    if len(payload) > MAX_MESSAGE_BYTES:
        text = f"message of {len(payload)} bytes: expected at most {MAX_MESSAGE_BYTES}"
        raise MessageError(text)
