"""Boxes as they are drawn, and what they say of themselves."""

from __future__ import annotations

from collections import Counter

from contract.messages import decode_message, encode_message
from contract.topics import Leaf, topic_for
from fleet.simulating.classes import device_classes
from fleet.simulating.devices import Oddity, draw_device
from fleet.simulating.inventories import engine_of, inventory_of
from fleet.simulating.variants import bundle_set

FLEET = [draw_device(1, index) for index in range(2000)]


def test_the_same_seed_and_number_give_the_same_box() -> None:
    assert draw_device(1, 5) == FLEET[5]
    assert draw_device(2, 5) != FLEET[5]


def test_every_kind_appears_and_no_name_twice() -> None:
    assert {one.kind.name for one in FLEET} == {kind.name for kind in device_classes()}
    assert len({one.device for one in FLEET}) == len(FLEET)


def test_a_few_boxes_are_odd_in_every_way() -> None:
    oddities = Counter(one.oddity for one in FLEET)
    assert set(oddities) == set(Oddity)
    assert 0.9 < oddities[Oddity.NONE] / len(FLEET) < 0.98


def test_an_inventory_follows_the_contract() -> None:
    for box in FLEET[:50]:
        inventory = inventory_of(box, bundle_set(20), site="lab", at=1_700_000_000.0)
        topic = topic_for("lab", box.device, Leaf.INVENTORY)
        _, heard = decode_message(topic, encode_message(inventory))
        assert heard == inventory


def test_a_box_does_not_know_what_is_wrong_with_it() -> None:
    kind = next(one for one in FLEET if one.oddity is not Oddity.NONE).kind
    alike = [one for one in FLEET if one.kind is kind and one.ram_bytes == kind.ram_bytes[0]]
    told = {encode_message(inventory_of(one)).replace(one.device.encode(), b"box") for one in alike}
    assert len({one.oddity for one in alike}) > 1
    assert len(told) == 1


def test_quantized_engines_fit_the_processor() -> None:
    engines = {one.kind.name: engine_of(one) for one in FLEET}
    assert (engines["rpi4"], engines["n100"], engines["j4125"]) == ("qnnpack", "x86", "qnnpack")
