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
