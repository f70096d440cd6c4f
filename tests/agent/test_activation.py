"""The active variant, as it is kept and as it follows what is desired."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.activation import Activation
from agent.errors import JournalError
from contract.messages import Desired, Phase


def desired(generation: int, variant: str = "net-sq8") -> Desired:
    """A desired state."""
    return Desired(
        site="lab",
        device="box",
        at=0.0,
        generation=generation,
        variant=variant,
        sha256="ab" * 32,
        threads=2,
        policy="fastest",
    )


def test_what_was_adopted_survives_a_restart(tmp_path: Path) -> None:
    """It is on the disk before anybody hears of it."""
    path = tmp_path / "active.json"
    activation = Activation(path)
    assert activation.standing.phase is Phase.IDLE
    activation.settle(activation.standing.adopting(desired(3)))
    again = Activation(path)
    assert again.standing.active_variant == "net-sq8"
    assert again.standing.active_threads == 2
    assert not again.is_news(desired(3))
    assert not again.is_news(desired(2))
    assert again.is_news(desired(4))


def test_a_refused_variant_leaves_the_one_before(tmp_path: Path) -> None:
    """The device goes on serving what it has, and says why."""
    activation = Activation(tmp_path / "active.json")
    activation.settle(activation.standing.adopting(desired(1, "net-base")))
    activation.settle(activation.standing.refusing(desired(2), "not here"))
    standing = activation.standing
    assert (standing.phase, standing.reason) == (Phase.FAILED, "not here")
    assert (standing.generation, standing.active_variant) == (2, "net-base")


def test_what_is_accepted_is_settled_once_it_is_served(tmp_path: Path) -> None:
    """Until then, the generation before stands; a restart goes on with it."""
    path = tmp_path / "active.json"
    activation = Activation(path)
    activation.settle(activation.standing.adopting(desired(1, "net-base")))
    activation.settle(activation.standing.choosing(desired(2), preparation="frozen"))
    again = Activation(path)
    assert (again.standing.generation, again.standing.phase) == (1, Phase.ACTIVE)
    assert again.standing.underway == desired(2)
    assert not again.is_news(desired(2))
    assert again.is_news(desired(3))
    active = again.standing.active
    assert active is not None
    assert (active.variant, active.threads, active.preparation) == ("net-sq8", 2, "frozen")
    settled = again.standing.serving()
    assert (settled.generation, settled.phase, settled.underway) == (2, Phase.ACTIVE, None)


def test_what_fails_is_still_what_is_wanted(tmp_path: Path) -> None:
    """It is served as soon as it can be, and a newer wish begins anew."""
    standing = Activation(tmp_path / "active.json").standing.choosing(desired(2)).failing("broken")
    assert (standing.generation, standing.phase, standing.reason) == (2, Phase.FAILED, "broken")
    assert standing.active_variant == "net-sq8"
    assert standing.serving().phase is Phase.ACTIVE
    newer = standing.choosing(desired(3, "net-base"))
    assert newer.serving().generation == 3


def test_a_refusal_stays_whatever_is_served(tmp_path: Path) -> None:
    """What was accepted before is well, but it is not what is desired."""
    standing = Activation(tmp_path / "active.json").standing.choosing(desired(1)).serving()
    refused = standing.refusing(desired(2, "net-p50"), "not here")
    assert refused.serving() == refused
    assert refused.failing("broken") == refused
    assert refused.choosing(desired(2, "net-p50")).serving().phase is Phase.ACTIVE


def test_the_last_two_that_were_served_are_remembered(tmp_path: Path) -> None:
    """The one at work and the one to fall back to, each once."""
    standing = Activation(tmp_path / "active.json").standing
    for generation, variant in enumerate(("net-a", "net-b", "net-c", "net-b"), start=1):
        standing = standing.adopting(desired(generation, variant))
    assert [pick.variant for pick in standing.good] == ["net-b", "net-c"]


def test_the_same_bundle_for_a_newer_wish_stays_as_it_was_prepared(tmp_path: Path) -> None:
    """Nothing is loaded anew because another figure came out a little faster."""
    standing = Activation(tmp_path / "active.json").standing
    standing = standing.adopting(desired(1), preparation="frozen")
    again = standing.choosing(desired(2), preparation="optimized")
    assert again.active == standing.active
    assert again.active_generation == 2


def test_a_damaged_file_is_a_fresh_start(tmp_path: Path) -> None:
    """The fleet's retained desired state brings the device back."""
    path = tmp_path / "active.json"
    path.write_text('{"generation": "many"}')
    assert Activation(path).standing.generation == 0


def test_a_standing_that_cannot_be_written_is_not_adopted(tmp_path: Path) -> None:
    """Persist, then act: the old standing stays."""
    activation = Activation(tmp_path / "missing" / "active.json")
    with pytest.raises(JournalError, match="state_dir"):
        activation.settle(activation.standing.adopting(desired(1)))
    assert activation.standing.active_variant is None
