"""One message as it came from the broker, and what reading it gave."""

from __future__ import annotations

import hashlib

import msgspec

from contract.errors import ContractError
from contract.messages import Epoch, Message, Result, Seq, Tombstone, decode_message
from contract.topics import Leaf, Topic, parse_topic
from fleet.mqtt.long_texts import LONGEST_TEXT, with_short_texts

#: Beyond this not even the outbox place is looked for in a message that is too large.
_READABLE_BYTES = 4 * 1024 * 1024


class Delivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Topic and bytes of one message; `received_at` is the fleet's clock.

    `retained` marks a message that the broker had kept: the device may be long gone, as with one
    that is replayed. `ticket` is the number under which its source waits to hear that it is
    stored; None where none waits.
    """

    topic: str
    payload: bytes
    retained: bool
    received_at: float
    ticket: int | None = None
    #: A person gives it again, out of quarantine.
    replayed: bool = False

    @property
    def is_live(self) -> bool:
        """Whether the device sent it just now: whether it says anything about the device."""
        return not self.retained and not self.replayed

    @property
    def sha256(self) -> str:
        """Digest of the payload: whether two deliveries are the same bytes."""
        return hashlib.sha256(self.payload).hexdigest()

    @property
    def only_clears(self) -> bool:
        """Whether this is MQTT's way to forget a retained message, and says nothing itself."""
        return not self.payload and not self.topic.endswith(f"/{Leaf.RESULT.value}")


class Subscribed(msgspec.Struct, frozen=True):
    """The broker delivers from now on; what it had retained may be gone."""


class Place(msgspec.Struct, frozen=True):
    """One place of one device's outbox."""

    site: str
    device: str
    epoch: str
    seq: int


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """A delivery that follows the contract."""

    delivery: Delivery
    message: Message
    #: Of a result: its run without the raw samples, as it is stored; else empty.
    run_text: str = ""


class Refused(msgspec.Struct, frozen=True):
    """A delivery that does not follow the contract, and why.

    `place` is the outbox place that it shows under its own device's topic all the same, so
    that the place can be closed; None where it shows none.
    """

    delivery: Delivery
    reason: str
    site: str | None
    device: str | None
    place: Place | None


class _Envelope(msgspec.Struct):
    site: str
    device: str
    epoch: Epoch
    seq: Seq


_ENVELOPE = msgspec.json.Decoder(_Envelope)
#: As JSON writes it.
_NUL = b"\\u0000"


def read_delivery(delivery: Delivery) -> Accepted | Refused:
    """Decode and check one delivery; never raises, whatever its bytes are."""
    try:
        _, message = decode_message(delivery.topic, delivery.payload)
    except ContractError as error:
        return refuse(delivery, str(error))
    except RecursionError:
        return refuse(delivery, "nested too deeply")
    if delivery.retained and isinstance(message, Result | Tombstone):
        reason = "a result was published retained: expected it without, it is for the store alone"
        # Its place stays open for the message as it should be.
        return msgspec.structs.replace(refuse(delivery, reason), place=None)
    fault = _fault_in(message, delivery.payload)
    if fault is not None:
        return refuse(delivery, fault)
    if isinstance(message, Result):
        return _accepted_result(delivery, message)
    if len(delivery.payload) > LONGEST_TEXT:
        message = with_short_texts(message)
    return Accepted(delivery, message)


def _fault_in(message: Message, payload: bytes) -> str | None:
    """What is wrong with a message although it decodes."""
    if isinstance(message, Tombstone) and message.last_seq < message.seq:
        return f"tombstone from {message.seq} to {message.last_seq}: expected last_seq >= seq"
    if _NUL in payload and _has_nul(msgspec.to_builtins(message)):
        # PostgreSQL would say so too, but of a whole batch.
        return "a text holds U+0000: expected none, for no database keeps it"
    return None


def _accepted_result(delivery: Delivery, result: Result) -> Accepted:
    samples_ms = result.run.samples_ms
    lean = msgspec.structs.replace(result.run, samples_ms=[]) if samples_ms else result.run
    text = msgspec.json.encode(lean)
    if len(text) > LONGEST_TEXT:
        lean = with_short_texts(lean)
        text = msgspec.json.encode(lean)
        run = msgspec.structs.replace(lean, samples_ms=samples_ms)
        result = msgspec.structs.replace(result, run=run)
    return Accepted(delivery, result, text.decode())


def refuse(delivery: Delivery, reason: str) -> Refused:
    """Refusal of a delivery, with whatever identity can be read from it."""
    # A reason may quote the message.
    told = storable(reason)
    try:
        topic = parse_topic(delivery.topic)
    except ContractError:
        return Refused(delivery, told, None, None, None)
    return Refused(delivery, told, topic.site, topic.device, _place_in(delivery, topic))


def storable(text: str) -> str:
    """`text` without lone surrogates and U+0000, which databases refuse."""
    return text.encode("utf-8", errors="backslashreplace").decode().replace("\0", "\\0")


def _place_in(delivery: Delivery, topic: Topic) -> Place | None:
    if topic.leaf is not Leaf.RESULT or len(delivery.payload) > _READABLE_BYTES:
        return None
    try:
        envelope = _ENVELOPE.decode(delivery.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if (envelope.site, envelope.device) != (topic.site, topic.device):
        return None
    return Place(envelope.site, envelope.device, envelope.epoch, envelope.seq)


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(one) for key, one in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))
