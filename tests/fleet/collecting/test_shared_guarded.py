"""Collectors that share a Mosquitto which asks for accounts, as `broker-config` sets it up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from contract.messages import encode_message
from contract.topics import Leaf
from fleet.authority.authority import Authority
from support.accounts import Cast, GuardedMosquitto, own
from support.collectors import ServeProcess, share_of
from support.devices import eventually
from support.measurements import make_result, make_run
from support.stores import ON_POSTGRESQL

pytestmark = ON_POSTGRESQL

RESULTS = 20


def test_the_accounts_rules_let_collectors_share(
    start_serve: Callable[..., ServeProcess], mosquitto_program: str, tmp_path: Path
) -> None:
    authority = Authority.open(tmp_path / "authority")
    with (
        GuardedMosquitto(authority, tmp_path / "etc", mosquitto_program).running() as guarded,
        contextlib.closing(Cast(guarded)) as cast,
    ):
        cast.enroll("box")
        assert eventually(lambda: cast.device("box").is_in)
        words = ("--broker", str(guarded.address), "--authority", str(authority.folder))
        collectors = [start_serve(*words, "--shared", "-v") for _ in range(2)]
        device = cast.device("box")
        assert device.subscribe(own("box", Leaf.ACK)) == [True]
        for seq in range(1, RESULTS + 1):
            result = make_result(seq, make_run(run_id=f"run-{seq}"))
            device.publish(own("box", Leaf.RESULT), encode_message(result))
        assert eventually(
            lambda: any(f'"through":{RESULTS}'.encode() in p for _, p in device.heard)
        )
        assert all(collector.stop() == 0 for collector in collectors)
        shares = [share_of(collector) for collector in collectors]
        assert sum(shares) == RESULTS
        assert min(shares) > 0
