"""Whoever has one device's password tries what it reaches, on every broker that has accounts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from contract.access import client_name_of
from contract.topics import Leaf, device_filters, topics_of_all
from fleet.authority.rules import LARGEST_MESSAGE_BYTES
from support.accounts import SITE, Cast, Client, Guarded, fence, guarded_broker, own
from support.devices import eventually
from support.faults.table import Row

MakeRow = Callable[..., Row]
BROKERS = ("embedded", "mosquitto", "nats")
FROM_DEVICE = [leaf for leaf in Leaf if leaf.from_device]
TO_DEVICE = [leaf for leaf in Leaf if not leaf.from_device]
#: How NATS's gateway maps these is its own: `/` is `.`, `.` is `//`, and `*` and `>` are wildcards.
GATEWAY_TOPICS = [
    *("$MQTT/msgs/edgewright/v1/lab/other/ack", "$MQTT/rmsgs/edgewright/v1/lab/other/ack"),
    *("$MQTT/sess/x", "$MQTT/sub/x", "$MQTT/JSA/x", "$MQTT.msgs.edgewright.v1.lab.other.ack"),
    *("edgewright/v1/lab/*/ack", "edgewright/v1/lab/>", "edgewright.v1.lab.other.ack"),
]
API_TOPICS = [
    f"$JS/API/{call}"
    for call in (
        *("STREAM/PURGE/$MQTT_msgs", "STREAM/DELETE/$MQTT_msgs", "STREAM/DELETE/$MQTT_rmsgs"),
        *("STREAM/PURGE/EDGEWRIGHT", "STREAM/DELETE/EDGEWRIGHT", "STREAM/CREATE/MINE"),
        *("STREAM/INFO/$MQTT_sess", "CONSUMER/DELETE/EDGEWRIGHT/collectors", "INFO"),
    )
]
SYSTEM_TOPICS = ["$SYS/broker/uptime", "$SYS/REQ/SERVER/PING", "$SYS/ACCOUNT/EDGEWRIGHT/CONNECT"]
OTHERS_FILTERS = [
    *("#", "+/#", "+/+/+/+/+", "edgewright/#", "edgewright/v1/lab/+/ack", "*", ">", "*/>"),
    *(own("other", leaf) for leaf in Leaf),
    *(own("box", leaf) for leaf in FROM_DEVICE),
    *("edgewright/v1/lab/*/ack", "edgewright.v1.lab.other.ack", "edgewright/v1/lab/other/#"),
]
SYSTEM_FILTERS = [
    *("$SYS/#", "$SYS/broker/#", "$JS/#", "$JS/EVENT/#", "$MQTT/#", "$MQTT/sub/#", "$MQTT/sub/+"),
    *("$MQTT/msgs/#", "$MQTT/rmsgs/#", "$MQTT/sess/#", "$MQTT/JSA/#", "$MQTT/sub/>", "_INBOX/#"),
]
SHARED_FILTERS = [
    f"$share/group/{one}"
    for one in ("#", own("other", Leaf.ACK), topics_of_all(Leaf.RESULT), topics_of_all(Leaf.ACK))
]
FLOOD, SESSIONS = 2_000, 40


class Stage:
    """A broker, the fleet that hears all devices, a victim, and who has the password of `box`."""

    def __init__(self, kind: str, cast: Cast) -> None:
        self.kind, self.cast = kind, cast
        for device in ("box", "other"):
            cast.enroll(device)
        for device in ("box", "other"):
            assert eventually(lambda device=device: cast.device(device).is_in)
        self.fleet, self.other = cast.fleet(), cast.device("other")
        assert all(self.fleet.subscribe(*device_filters(), topics_of_all(Leaf.ANSWER)))
        assert all(self.other.subscribe(*(own("other", leaf) for leaf in TO_DEVICE)))

    def attacker(self, *, will: tuple[str, bytes] | None = None) -> Client:
        """A connection with the password of `box`, under an id that nobody else has."""
        return self.cast.device("box", client_id=_new_id("box"), will=will)

    def all_heard(self) -> None:
        """Everything that was sent before has been dealt with, and nobody was disturbed."""
        losses = (self.fleet.losses, self.other.losses)
        fence(self.other, own("other", Leaf.STATE), self.fleet)
        fence(self.fleet, own("other", Leaf.ACK), self.other)
        assert losses == (self.fleet.losses, self.other.losses) == (0, 0)

    def honest(self) -> None:
        """The device itself is served as ever."""
        box = self.cast.device("box")
        assert box.subscribe(own("box", Leaf.ACK)) == [True]
        fence(box, own("box", Leaf.STATE), self.fleet)
        fence(self.fleet, own("box", Leaf.ACK), box)


def _new_id(device: str) -> str:
    # The embedded broker lets in no id that begins otherwise.
    return f"{client_name_of(SITE, device)}:{uuid.uuid4().hex}"


@pytest.fixture(scope="module", params=BROKERS)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mosquitto_program: str
) -> Iterator[Stage]:
    kind = request.param
    guarded: Guarded
    with guarded_broker(kind, tmp_path_factory.mktemp(kind), mosquitto_program) as guarded:
        cast = Cast(guarded)
        yield Stage(kind, cast)
        cast.close()


def is_unheard(stage: Stage, said: bytes) -> bool:
    return not stage.fleet.has_heard(said) and not stage.other.has_heard(said)


def publish_all(stage: Stage, row: Row, topics: list[str]) -> None:
    """Publish to each topic, retained and not, on a connection of its own: some end by it."""
    ended, said = 0, uuid.uuid4().hex.encode()
    for topic in topics:
        for retain in (False, True):
            attacker = stage.attacker()
            attacker.publish(topic, said, retain=retain)
            # By what comes back for the next message, this one was dealt with, or the end came.
            assert eventually(lambda one=attacker: one.is_answered() or one.losses)
            ended += attacker.losses
            attacker.close()
            row.tried()
    stage.all_heard()
    assert is_unheard(stage, said)
    late = stage.cast.device("other", client_id=_new_id("other"))
    assert all(late.subscribe(*(own("other", leaf) for leaf in TO_DEVICE)))
    fence(stage.fleet, own("other", Leaf.ACK), late)
    assert not late.has_heard(said)
    stage.honest()
    row.came_to(f"nobody heard any; {ended} connections ended")


@pytest.mark.parametrize(
    ("name", "topics"),
    [
        (
            "other devices' topics, and the fleet's",
            [
                *(own("other", leaf) for leaf in Leaf),
                *(own("box", leaf) for leaf in TO_DEVICE),
                *("edgewright/v1/lab/box/state/more", "edgewright/v1/lab/box", "a", "fence"),
            ],
        ),
        ("what a gateway keeps its own messages under", GATEWAY_TOPICS),
        ("the server's interface, and system topics", [*API_TOPICS, *SYSTEM_TOPICS]),
    ],
    ids=["others", "gateway", "server"],
)
def test_a_device_publishes_its_own_and_nothing_else(
    stage: Stage, fault: MakeRow, name: str, topics: list[str]
) -> None:
    row = fault(f"{stage.kind}: publishes to {name}", holds="nobody hears it, now or later")
    publish_all(stage, row, topics)


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("other devices' topics", OTHERS_FILTERS),
        ("system topics", SYSTEM_FILTERS),
        ("shared subscriptions", SHARED_FILTERS),
    ],
    ids=["others", "system", "shared"],
)
def test_a_device_hears_its_own_and_nothing_else(
    stage: Stage, fault: MakeRow, name: str, filters: list[str]
) -> None:
    row = fault(f"{stage.kind}: subscribes to {name}", holds="hears nothing, retained or new")
    for leaf in TO_DEVICE:
        stage.fleet.publish(own("other", leaf), b"kept for other", retain=True)
    granted, ended = 0, 0
    spies = []
    for one in filters:
        spy = stage.attacker()
        answer = spy.attempt_to_subscribe(one)
        granted += answer is True
        ended += answer is None
        spies.append(spy)
        row.tried()
    for leaf in TO_DEVICE:
        stage.fleet.publish(own("other", leaf), b"for other")
    stage.other.publish(own("other", Leaf.RESULT), b"of other")
    stage.all_heard()
    stage.honest()
    # What a spy may hear comes before what it is sent afterwards.
    for spy in spies:
        if not spy.losses and spy.attempt_to_subscribe(own("box", Leaf.ACK)):
            fence(stage.fleet, own("box", Leaf.ACK), spy)
        assert {topic for topic, _ in spy.heard} <= {own("box", Leaf.ACK)}
        spy.close()
    row.came_to(f"nothing heard; {granted} granted without effect, {ended} connections ended")


def test_a_last_will_reaches_no_further_than_its_device(stage: Stage, fault: MakeRow) -> None:
    row = fault(f"{stage.kind}: last wills to topics of others", holds="nobody hears them")
    said = uuid.uuid4().hex.encode()
    topics = [own("other", leaf) for leaf in Leaf] + API_TOPICS + GATEWAY_TOPICS[:2]
    refused = 0
    for topic in topics:
        attacker = stage.attacker(will=(topic, said))
        refused += not attacker.is_in
        attacker.vanish()
        row.tried()
    honest = uuid.uuid4().hex.encode()
    stage.attacker(will=(own("box", Leaf.STATE), honest)).vanish()
    assert eventually(lambda: stage.fleet.has_heard(honest))
    stage.all_heard()
    assert is_unheard(stage, said)
    row.came_to(f"none heard; {refused} of {len(topics)} refused at the connection")


def test_a_client_id_takes_nobodys_place(stage: Stage, fault: MakeRow) -> None:
    row = fault(f"{stage.kind}: connects with others' client ids", holds="nobody loses the place")
    ids = [client_name_of(SITE, "other"), f"edgewright:{SITE}:other:0", "edgewright-fleet", "fleet"]
    let_in = 0
    for client_id in ids:
        let_in += stage.cast.device("box", client_id=client_id).is_in
        row.tried()
    stage.all_heard()
    row.came_to(f"nobody lost a connection; {let_in} of {len(ids)} let in as another client")


def test_a_flood_and_many_sessions_leave_others_served(stage: Stage, fault: MakeRow) -> None:
    row = fault(
        f"{stage.kind}: floods its own topics and others', and leaves sessions behind",
        holds="others are served; nothing forged is heard",
    )
    forged = uuid.uuid4().hex.encode()
    attacker = stage.attacker()
    for number in range(FLOOD):
        attacker.publish(own("box", Leaf.RESULT), b"flood %d" % number)
        attacker.publish(own("other", Leaf.RESULT), forged)
        row.tried(2)
    for _ in range(SESSIONS):
        one = stage.attacker()
        one.attempt_to_subscribe(own("box", Leaf.DESIRED))
        one.vanish()
        row.tried()
    stage.all_heard()
    stage.honest()
    assert not stage.fleet.has_heard(forged)
    attacker.close()
    row.came_to("served throughout")


def test_what_is_too_large_is_heard_by_nobody(stage: Stage, fault: MakeRow) -> None:
    row = fault(
        f"{stage.kind}: messages over {LARGEST_MESSAGE_BYTES // 1024} KiB", holds="nobody hears it"
    )
    attacker = stage.attacker()
    attacker.publish(own("box", Leaf.RESULT), b"x" * (LARGEST_MESSAGE_BYTES + 1))
    row.tried()
    assert eventually(lambda: attacker.is_answered() or attacker.losses)
    stage.all_heard()
    stage.honest()
    assert all(len(payload) <= LARGEST_MESSAGE_BYTES for _, payload in stage.fleet.heard)
    row.came_to("its connection ended" if attacker.losses else "dropped, its connection stays")
