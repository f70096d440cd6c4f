"""Malformed messages, made from the golden ones: each in a way of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from contract.errors import ContractError
from contract.messages import MAX_MESSAGE_BYTES, decode_message

_GOLDEN = Path(__file__).parents[2] / "tests" / "contract" / "golden"
_HUGE = (b"9" * 40, b"-1", b"1e999", b"1e-999", b"-0.5", b"NaN", b"18446744073709551616")
_WRONG = (b"null", b"true", b"[]", b"{}", b'""', b'"\\u0000"', b'"\\ud800"')
_STRANGE = (b"\0", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\xef\xbb\xbf")

#: Shares of messages that bear their own device's name, of nestings that end, and of messages of
#: a turn that are really too large.
_OWN_SHARE, _CLOSED_SHARE, _OVERSIZE_SHARE = 0.7, 0.5, 0.05

#: Topic and payload.
Message = tuple[str, bytes]


def mutated(topic_for: Callable[[str], str], count: int, draw: random.Random) -> list[Message]:
    """Different messages made from the golden ones, each in a way of its own.

    `topic_for` draws a topic of a leaf.
    """
    golden = [
        (leaf, path.read_bytes())
        for path in sorted(_GOLDEN.glob("*.json"))
        for leaf in [_leaf_of(path.stem)]
        if leaf in ("result", "state", "inventory", "update")
    ]
    found: dict[Message, None] = {}
    for change in _changes_for_ever():
        leaf, payload = draw.choice(golden)
        topic = topic_for(leaf)
        # As if it were that device's own, so that what is wrong is looked for within.
        own = _under(payload, topic) if draw.random() < _OWN_SHARE else payload
        made = topic, change(own, draw)
        if is_malformed(made):
            found[made] = None
        if len(found) == count:
            return list(found)
    return []


def is_malformed(message: Message) -> bool:
    """Whether the contract refuses it. An empty one only clears what was retained."""
    topic, payload = message
    if not payload:
        return False
    try:
        decode_message(topic, payload)
    except (ContractError, RecursionError):
        return True
    return False


def _leaf_of(stem: str) -> str:
    leaf = stem.partition("-")[0]
    return "result" if leaf == "tombstone" else leaf


def _under(payload: bytes, topic: str) -> bytes:
    body = msgspec.json.decode(payload)
    body["site"], body["device"] = topic.split("/")[2:4]
    return msgspec.json.encode(body)


def _changes_for_ever() -> Iterator[Callable[[bytes, random.Random], bytes]]:
    while True:
        yield from (
            _flip, _cut, _wrong_type, _repeat_key, _huge_number, _nest, _strange_bytes, _drop_key,
            _twice, _oversize,
        )  # fmt: skip


def _flip(payload: bytes, draw: random.Random) -> bytes:
    data = bytearray(payload)
    for _ in range(draw.randint(1, 8)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _cut(payload: bytes, draw: random.Random) -> bytes:
    first, last = sorted(draw.sample(range(len(payload) + 1), 2))
    return draw.choice((payload[:last], payload[first:], payload[:first] + payload[last:]))


def _wrong_type(payload: bytes, draw: random.Random) -> bytes:
    return _replace_value(payload, draw, draw.choice(_WRONG))


def _huge_number(payload: bytes, draw: random.Random) -> bytes:
    return _replace_value(payload, draw, draw.choice(_HUGE))


def _nest(payload: bytes, draw: random.Random) -> bytes:
    depth = draw.choice((100, 2_000, 20_000))
    opening, closing = draw.choice(((b"[", b"]"), (b'{"a":', b"}")))
    ends = closing * depth if draw.random() < _CLOSED_SHARE else b""
    return _replace_value(payload, draw, opening * depth + b"1" + ends)


def _strange_bytes(payload: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(payload))
    return payload[:at] + draw.choice(_STRANGE) + payload[at:]


def _repeat_key(payload: bytes, draw: random.Random) -> bytes:
    key = draw.choice((b'"seq"', b'"site"', b'"device"', b'"at"', b'"run"', b'"type"'))
    return payload[: payload.rindex(b"}")] + b"," + key + b":" + draw.choice(_WRONG) + b"}"


def _drop_key(payload: bytes, draw: random.Random) -> bytes:
    body = msgspec.json.decode(payload)
    del body[draw.choice(sorted(body))]
    return msgspec.json.encode(body)


def _twice(payload: bytes, draw: random.Random) -> bytes:
    return payload + draw.choice((payload, b" {}", b",", b"]"))


def _oversize(payload: bytes, draw: random.Random) -> bytes:
    # Not too often: they are a quarter of a megabyte each.
    if draw.random() > _OVERSIZE_SHARE:
        return _flip(payload, draw)
    return payload[: payload.rindex(b"}")] + b',"x":"' + b"x" * MAX_MESSAGE_BYTES + b'"}'


def _replace_value(payload: bytes, draw: random.Random, value: bytes) -> bytes:
    """Put another value in the place of a field's, anywhere in the document."""
    places: list[tuple[dict[str, object], str]] = []

    def collect(node: object) -> None:
        if isinstance(node, dict):
            places.extend((node, key) for key in node)
            for one in node.values():
                collect(one)

    body = msgspec.json.decode(payload)
    collect(body)
    node, key = draw.choice(places)
    node[key] = msgspec.Raw(value)
    return msgspec.json.encode(body)
