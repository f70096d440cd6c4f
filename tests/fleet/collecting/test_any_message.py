"""No message stops the intake: what follows the contract is stored, all else is put away."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.benchmark import BenchRun
from contract.errors import MessageError
from contract.messages import (
    MAX_MESSAGE_BYTES,
    Ack,
    Inventory,
    Message,
    Result,
    State,
    Tombstone,
    Update,
    encode_message,
)
from contract.topics import Leaf, topic_for
from fleet.choosing.policy import load_policy
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database
from fleet.store.recommendation import recommend
from fleet.store.roster import device_ids
from fleet.store.schema import quarantine, results
from support.contract_messages import messages
from support.measurements import make_inventory, make_result, make_run
from support.stores import ON_BOTH

pytestmark = ON_BOTH

_EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
    ],
)  # fmt: skip
_NAME = {"site": st.just("lab"), "device": st.just("odd")}
#: Two outboxes: runs are recognised from then on.
_OUTBOX = {"epoch": st.sampled_from(["e-1", "e-2"]), "seq": st.integers(1, 2**53)}
_ANY_MESSAGE = st.one_of(
    messages(Result, **_NAME, **_OUTBOX),
    messages(Inventory, **_NAME),
    messages(State, **_NAME),
    messages(Update, **_NAME),
    messages(Tombstone, **_NAME, **_OUTBOX).filter(lambda stone: stone.last_seq >= stone.seq),
)
_LEAVES = {
    Inventory: Leaf.INVENTORY, State: Leaf.STATE, Update: Leaf.UPDATE,
}  # fmt: skip


def delivery_of(message: Message) -> Delivery | None:
    """The message on its way; None where it is too large for the wire."""
    try:
        payload = encode_message(message)
    except MessageError:
        return None
    leaf = _LEAVES.get(type(message), Leaf.RESULT)
    topic = topic_for(message.site, message.device, leaf)
    return Delivery(topic=topic, payload=payload, retained=False, received_at=50.0)


def refusals_of_the_store(database: Database) -> list[str]:
    with database.reading() as connection:
        reasons = connection.scalars(sa.select(quarantine.c.reason)).all()
    return [reason for reason in reasons if reason.startswith("the store cannot hold it")]


@_EXAMPLES
@given(said=st.lists(_ANY_MESSAGE, min_size=1, max_size=4))
def test_no_message_that_follows_the_contract_makes_the_store_refuse(
    said: list[Message], database: Database
) -> None:
    deliveries = [one for one in map(delivery_of, said) if one is not None]
    Intake(database).take(deliveries, now=100.0)
    assert refusals_of_the_store(database) == []


@_EXAMPLES
@given(run=messages(BenchRun), place=st.integers(1, 2**53))
def test_any_run_can_be_decided_on(run: BenchRun, place: int, database: Database) -> None:
    policy = load_policy("most-accurate")
    said = [make_inventory("odd", fingerprint=run.fingerprint, set_id=run.set_id)]
    said += [make_result(place, run, device="odd")]
    Intake(database).take([one for one in map(delivery_of, said) if one is not None], now=100.0)
    with database.reading() as connection:
        devices = device_ids(connection)
    assert len(recommend(database, policy, devices, now=100.0)) == len(devices)


@_EXAMPLES
@given(
    junk=st.lists(
        st.tuples(
            st.one_of(
                st.text(min_size=1, max_size=20),
                st.builds(lambda one: one * 1000, st.characters(exclude_characters="+#\0")),
                st.builds(
                    "edgewright/v1/lab/{}/{}".format,
                    st.sampled_from(["odd", "good", "Bad!", "\U0001f4a5" * 1000]),
                    st.sampled_from([*Leaf, "x" * 3000]),
                ),
            ),
            st.one_of(
                st.binary(max_size=60),
                messages(Result, **_NAME, **_OUTBOX).map(msgspec.json.encode),
                st.just(b"\xf0" * (MAX_MESSAGE_BYTES + 1)),
            ),
        ),
        min_size=1,
        max_size=6,
    ),
    place=st.integers(1, 2**53),
)
def test_the_result_of_another_device_is_acknowledged_with_the_batch_it_came_in(
    junk: list[tuple[str, bytes]], place: int, database: Database
) -> None:
    epoch = f"e-{place}"
    good = delivery_of(make_result(1, make_run(run_id=epoch), device="good", epoch=epoch))
    assert good is not None
    batch = [
        Delivery(topic=topic, payload=payload, retained=False, received_at=50.0)
        for topic, payload in junk
    ]
    intake = Intake(database)
    receipt = intake.take([*batch, good], now=100.0)
    with database.reading() as connection:
        stored = connection.scalar(sa.select(sa.func.count()).where(results.c.run_id == epoch))
    acks: dict[str, Ack] = {ack.device: ack for ack in intake.acks(receipt.to_ack, now=100.0)}
    assert stored == 1
    assert acks["good"].epochs[epoch].through == 1
