"""What an account may do on a NATS server, against the rules for every broker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contract.topics import Leaf, topic_for
from fleet.authority.rules import FLEET, may_read, may_write
from fleet.jetstream.server_config import device_permissions, fleet_permissions
from fleet.jetstream.subject import subject_of_filter

ids = st.from_regex(r"[a-z0-9_-]{1,6}", fullmatch=True)


def allows(subjects: list[str], topic: str) -> bool:
    """Whether one of the subjects matches what a topic becomes."""
    asked = subject_of_filter(topic).split(".")
    return any(
        len(one) == len(asked) and all(a in {"*", b} for a, b in zip(one, asked, strict=True))
        for one in (subject.split(".") for subject in subjects)
    )


@given(ids, ids, ids, ids, st.sampled_from(Leaf))
def test_a_device_may_do_on_nats_what_it_may_do_elsewhere(
    site: str, device: str, at: str, who: str, leaf: Leaf
) -> None:
    topic, permitted = topic_for(site, device, leaf), device_permissions(at, who)
    assert allows(permitted.publish, topic) is may_write(f"{at}/{who}", topic)
    assert allows(permitted.subscribe, topic) is may_read(f"{at}/{who}", topic)


@given(ids, ids, st.sampled_from(Leaf))
def test_the_fleet_may_do_on_nats_what_it_may_do_elsewhere(
    site: str, device: str, leaf: Leaf
) -> None:
    topic, permitted = topic_for(site, device, leaf), fleet_permissions()
    assert allows(permitted.publish, topic) is may_write(FLEET, topic)
    assert allows(permitted.subscribe, topic) is may_read(FLEET, topic)
