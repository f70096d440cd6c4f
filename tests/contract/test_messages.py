"""The wire: golden bodies are readable for ever, and nothing malformed gets through."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ContractError, MessageError
from contract.messages import (
    MAX_MESSAGE_BYTES,
    Ack,
    EpochAck,
    Rejection,
    State,
    decode_message,
    encode_message,
)
from contract.question import MAX_IMAGE_BYTES, MAX_VARIANTS, Answer, AnswerStatus, Guess, Request
from contract.topics import Leaf, topic_for

GOLDEN = Path(__file__).with_name("golden")
#: Every message that some release of Edgewright has put on the wire. Files are only ever added.
GOLDEN_NAMES = [
    "state",
    "inventory",
    "inventory-box",
    "result",
    "result-energy",
    "result-preparation",
    "tombstone",
    "update",
    "desired",
    "ack",
    "request",
    "answer",
    "answer-refused",
    "ack-stored",
]


def topic_of(name: str) -> str:
    """Topic of a golden file: its leaf, or its leaf, a dash and what is new about it."""
    leaf = Leaf.RESULT if name == "tombstone" else Leaf(name.partition("-")[0])
    return topic_for("home", "pi-kitchen", leaf)


def kept(written: object, again: object) -> object:
    """`again` without the fields of later releases, which `written` cannot have, at any depth."""
    if isinstance(written, dict) and isinstance(again, dict):
        return {key: kept(value, again[key]) for key, value in written.items()}
    return again


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes()


def test_every_golden_file_is_named_here() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(GOLDEN_NAMES)


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_a_golden_message_decodes_and_says_the_same_again(name: str) -> None:
    _, message = decode_message(topic_of(name), golden(name))
    again = msgspec.json.decode(encode_message(message))
    written = msgspec.json.decode(golden(name))
    assert kept(written, again) == written


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_unknown_fields_of_a_later_release_are_ignored(name: str) -> None:
    later = msgspec.json.decode(golden(name)) | {"of_tomorrow": {"a": [1]}}
    assert decode_message(topic_of(name), msgspec.json.encode(later)) == decode_message(
        topic_of(name), golden(name)
    )


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_a_body_under_another_devices_topic_is_refused(name: str) -> None:
    topic = topic_of(name).replace("pi-kitchen", "pi-cellar")
    with pytest.raises(MessageError, match="came under the topic of 'home/pi-cellar'"):
        decode_message(topic, golden(name))


def test_a_message_over_the_limit_is_refused_both_ways() -> None:
    big = State(
        site="home",
        device="pi-kitchen",
        presence="online",  # type: ignore[arg-type] - encoding does not look
        boot_id="x" * MAX_MESSAGE_BYTES,
        connection=1,
        at=0.0,
    )
    with pytest.raises(MessageError, match="expected at most 262144"):
        encode_message(big)
    with pytest.raises(MessageError, match="expected at most 262144"):
        decode_message(topic_of("state"), msgspec.json.encode(big))


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        ({"seq": 0}, r"\$\.seq"),
        ({"seq": "7"}, r"\$\.seq"),
        ({"epoch": "UPPER"}, r"\$\.epoch"),
        ({"device": "Pi Kitchen"}, r"\$\.device"),
        ({"run": {}}, r"\$\.run"),
        ({"type": "other"}, "other"),
    ],
)
def test_a_wrong_field_is_named_with_its_place(edit: dict[str, object], place: str) -> None:
    body = msgspec.json.decode(golden("result")) | edit
    with pytest.raises(MessageError, match=place):
        decode_message(topic_of("result"), msgspec.json.encode(body))


@given(leaf=st.sampled_from(Leaf), payload=st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_our_errors(leaf: Leaf, payload: bytes) -> None:
    with pytest.raises(ContractError):
        decode_message(topic_for("home", "pi-kitchen", leaf), payload)


@given(
    name=st.sampled_from(GOLDEN_NAMES),
    cut=st.integers(0, 400),
    insert=st.binary(max_size=8),
)
def test_a_mutated_golden_message_decodes_or_is_our_error(
    name: str, cut: int, insert: bytes
) -> None:
    content = golden(name)
    mutated = content[:cut] + insert + content[cut + len(insert) :]
    with contextlib.suppress(ContractError):
        topic, message = decode_message(topic_of(name), mutated)
        assert (message.site, message.device) == (topic.site, topic.device)


@given(
    through=st.integers(0, 2**53),
    rejected=st.lists(st.tuples(st.integers(1, 2**53), st.text(max_size=50)), max_size=5),
)
def test_any_ack_survives_the_round_trip(through: int, rejected: list[tuple[int, str]]) -> None:
    ack = Ack(
        site="home",
        device="pi-kitchen",
        at=1.5,
        epochs={
            "e": EpochAck(
                through=through,
                rejected=[Rejection(seq=seq, reason=reason) for seq, reason in rejected],
            )
        },
    )
    assert decode_message(topic_of("ack"), encode_message(ack))[1] == ack


variants = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,127}", fullmatch=True)


@given(
    image=st.binary(min_size=1, max_size=500),
    names=st.lists(variants, max_size=5),
    deadline_s=st.floats(0.001, 3600.0),
    threads=st.integers(1, 64),
    top_k=st.integers(1, 100),
)
def test_any_request_survives_the_round_trip(
    image: bytes, names: list[str], deadline_s: float, threads: int, top_k: int
) -> None:
    request = Request(
        site="home",
        device="pi-kitchen",
        at=1.5,
        id="q-1",
        deadline_s=deadline_s,
        image=image,
        variants=names,
        threads=threads,
        top_k=top_k,
    )
    assert decode_message(topic_of("request"), encode_message(request))[1] == request


@given(
    status=st.sampled_from(AnswerStatus),
    reason=st.none() | st.text(max_size=50),
    variant=st.none() | variants,
    number=st.integers(1, 64),
    top=st.lists(
        st.tuples(st.text(max_size=20), st.integers(0, 10**6), st.floats(0, 1)), max_size=5
    ),
    load_ms=st.none() | st.floats(0, 1e6),
)
def test_any_answer_survives_the_round_trip(
    status: AnswerStatus,
    reason: str | None,
    variant: str | None,
    number: int,
    top: list[tuple[str, int, float]],
    load_ms: float | None,
) -> None:
    answer = Answer(
        site="home",
        device="pi-kitchen",
        at=1.5,
        id="q-1",
        status=status,
        reason=reason,
        variant=variant,
        number=number,
        of=64,
        is_last=number == 64,
        top=[Guess(label=label, index=index, probability=p) for label, index, p in top],
        load_ms=load_ms,
    )
    assert decode_message(topic_of("answer"), encode_message(answer))[1] == answer


def test_the_largest_request_still_fits() -> None:
    request = Request(
        site="s" * 64,
        device="d" * 64,
        at=1767225600.123456,
        id="i" * 64,
        deadline_s=3600.0,
        image=b"\0" * MAX_IMAGE_BYTES,
        variants=["v" * 128] * MAX_VARIANTS,
        threads=64,
        top_k=100,
    )
    assert len(encode_message(request)) <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        ({"deadline_s": 0}, r"\$\.deadline_s"),
        ({"deadline_s": 3601}, r"\$\.deadline_s"),
        ({"image": ""}, r"\$\.image"),
        ({"image": "not base64!"}, r"\$\.image"),
        ({"id": "../../etc"}, r"\$\.id"),
        ({"variants": ["../base"]}, r"\$\.variants"),
        ({"variants": ["v"] * 65}, r"\$\.variants"),
        ({"threads": 0}, r"\$\.threads"),
        ({"top_k": 0}, r"\$\.top_k"),
    ],
)
def test_a_request_that_is_not_bounded_is_refused(edit: dict[str, object], place: str) -> None:
    body = msgspec.json.decode(golden("request")) | edit
    with pytest.raises(MessageError, match=place):
        decode_message(topic_of("request"), msgspec.json.encode(body))
