"""The agent as a process, a real broker, and the fleet's end of the wire."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from contract.benchmark import RunStatus
from contract.bundleset import BundleSet, read_set, write_set
from contract.messages import Phase, Presence
from contract.topics import Leaf
from support.brokers import Mosquitto
from support.fleet_end import FleetEnd
from support.processes import Process, wait_until

VARIANTS = ["tiny-base", "tiny-dq8", "tiny-sq8"]

MakeAgent = Callable[..., Process]


def stored(fleet_end: FleetEnd) -> list[str]:
    """Variants by place, as a store keeps them: repetitions count once."""
    places = {(r.epoch, r.seq): r.run.variant for r in fleet_end.results()}
    return [variant for _, variant in sorted(places.items())]


def test_it_announces_itself_measures_and_delivers_once(
    mosquitto: Mosquitto, fleet_end: FleetEnd, make_agent: MakeAgent, good_set: Path
) -> None:
    """Birth, inventory and update, then every result; it ends when all are acknowledged."""
    fleet_end.is_obliging = True
    more = 'groups = ["cold"]\nemulates = "a small board"\n'
    agent = make_agent(mosquitto.url, good_set, "--once", more=more)
    agent.start()
    assert agent.wait() == 0, agent.log.read_text()

    assert stored(fleet_end) == VARIANTS
    assert len(fleet_end.results()) == 3, "an acknowledged result was sent again"
    birth, death = fleet_end.states()
    assert (birth.presence, death.presence) == (Presence.ONLINE, Presence.OFFLINE)
    assert (birth.boot_id, birth.connection) == (death.boot_id, death.connection)
    inventory = fleet_end.inventories()[-1]
    assert inventory.variants == ["tiny-dq8", "tiny-base", "tiny-sq8"]
    assert (inventory.groups, inventory.emulates) == (["cold"], "a small board")
    assert inventory.torch is not None
    assert inventory.engines
    assert inventory.set_id == read_set(good_set).set_id
    assert fleet_end.updates()[-1].phase is Phase.IDLE
    run = fleet_end.results()[0].run
    assert run.fingerprint == inventory.fingerprint

    again = make_agent(mosquitto.url, good_set, "--once", more=more)
    again.start()
    assert again.wait() == 0
    assert len(fleet_end.results()) == 3, "what was measured and delivered stays that way"


def test_killed_mid_sweep_it_goes_on_and_delivers_every_result_once(
    mosquitto: Mosquitto, fleet_end: FleetEnd, make_agent: MakeAgent, good_set: Path
) -> None:
    """Only the turns that are missing are taken, in the same sweep."""
    agent = make_agent(mosquitto.url, good_set, rounds=2)
    agent.start()
    wait_until("two turns were taken", lambda: agent.log.read_text().count("turn_taken") >= 2)
    agent.kill()
    fleet_end.await_until(
        "the last will came", lambda: fleet_end.states()[-1].presence is Presence.OFFLINE
    )
    known = agent.log.read_text().count("turn_taken")
    assert known < 6, "it was killed too late to show anything"

    fleet_end.is_obliging = True
    agent = make_agent(mosquitto.url, good_set, "--once", rounds=2)
    agent.start()
    assert agent.wait() == 0, agent.log.read_text()
    assert stored(fleet_end) == VARIANTS
    assert agent.log.read_text().count("turn_taken") == 6, "a turn was taken twice"
    results = fleet_end.results()
    assert {result.run.processes for result in results} == {2}
    assert len({result.run.run_id for result in results}) == 3
    assert len({result.run.sweep_id for result in results}) == 1
    assert all(result.run.speedup is not None for result in results)
    assert len({result.epoch for result in results}) == 1
    boots = {state.boot_id for state in fleet_end.states()}
    assert len(boots) == 2, "each start has a name of its own"


def test_sigterm_during_a_bench_ends_it_cleanly(
    mosquitto: Mosquitto, fleet_end: FleetEnd, make_agent: MakeAgent, good_set: Path
) -> None:
    """Exit code 0, offline said by itself, no worker left."""
    agent = make_agent(mosquitto.url, good_set, more="min_runs = 10000000\n")
    agent.start()
    fleet_end.await_until("it is online", lambda: len(fleet_end.states()) == 1)
    assert agent.popen is not None
    agent.popen.send_signal(signal.SIGTERM)
    assert agent.wait() == 0, agent.log.read_text()
    fleet_end.await_until("it said goodbye", lambda: len(fleet_end.states()) == 2)
    assert fleet_end.states()[-1].presence is Presence.OFFLINE
    assert "event=broker_left" in agent.log.read_text()
    assert fleet_end.results() == []


def test_with_the_broker_away_it_measures_and_delivers_later(
    mosquitto: Mosquitto, make_agent: MakeAgent, good_set: Path
) -> None:
    """A broker that comes up late, and dies once more, gets everything."""
    mosquitto.stop()
    agent = make_agent(mosquitto.url, good_set, "--once")
    agent.start()
    wait_until("it measured all", lambda: agent.log.read_text().count("event=run_stored") == 3)
    assert "event=broker_away" in agent.log.read_text()
    mosquitto.start()
    fleet_end = FleetEnd(mosquitto.url, site="lab", device="box")
    fleet_end.await_until("results came", lambda: len(stored(fleet_end)) == 3)
    mosquitto.stop()
    fleet_end.close()
    mosquitto.start()
    fleet_end = FleetEnd(mosquitto.url, site="lab", device="box")
    fleet_end.is_obliging = True
    assert agent.wait() == 0, agent.log.read_text()
    assert stored(fleet_end) == VARIANTS
    connections = {s.connection for s in fleet_end.states() if s.presence is Presence.ONLINE}
    assert max(connections) > 1, "a new connection has a new number"
    fleet_end.close()


def test_it_follows_what_is_desired_and_remembers(
    mosquitto: Mosquitto, fleet_end: FleetEnd, make_agent: MakeAgent, good_set: Path
) -> None:
    """Adopted, kept over a restart, unknown ones refused, older generations ignored."""
    fleet_end.is_obliging = True
    shas = {member.variant: member.sha256 for member in read_set(good_set).members}
    fleet_end.desire("tiny-sq8", shas["tiny-sq8"], 5)
    agent = make_agent(mosquitto.url, good_set)
    agent.start()
    fleet_end.await_until("it adopted", lambda: fleet_end.updates()[-1:] != []
                          and fleet_end.updates()[-1].phase is Phase.ACTIVE)  # fmt: skip
    update = fleet_end.updates()[-1]
    assert (update.active_variant, update.generation) == ("tiny-sq8", 5)

    fleet_end.desire("tiny-p50", "0" * 64, 6)
    fleet_end.await_until("it refused", lambda: fleet_end.updates()[-1].phase is Phase.FAILED)
    update = fleet_end.updates()[-1]
    assert (update.active_variant, update.generation) == ("tiny-sq8", 6)
    assert "tiny-p50" in (update.reason or "")

    fleet_end.desire("tiny-base", "f" * 64, 7)
    fleet_end.await_until("it refused", lambda: fleet_end.updates()[-1].generation == 7)
    assert "SHA-256" in (fleet_end.updates()[-1].reason or "")

    fleet_end.desire("tiny-base", shas["tiny-base"], 2)
    fleet_end.publish(Leaf.DESIRED, b"{not json")
    wait_until("it said so", lambda: "event=message_refused" in agent.log.read_text())
    assert agent.stop() == 0
    heard = len(fleet_end.updates())
    agent.start()
    fleet_end.await_until("it is back", lambda: len(fleet_end.updates()) > heard)
    update = fleet_end.updates()[-1]
    assert (update.active_variant, update.generation) == ("tiny-sq8", 7)


def test_another_bundle_set_is_noticed_and_measured(
    mosquitto: Mosquitto,
    fleet_end: FleetEnd,
    make_agent: MakeAgent,
    good_set: Path,
    tmp_path: Path,
) -> None:
    """A member that arrives makes a new sweep; one that cannot be read is no obstacle."""
    fleet_end.is_obliging = True
    folder = tmp_path / "bundles"
    shutil.copytree(good_set, folder)
    whole = read_set(folder)
    small = BundleSet(
        baseline="tiny-base", members=[m for m in whole.members if m.variant == "tiny-base"]
    )
    write_set(folder, small)
    agent = make_agent(mosquitto.url, folder)
    agent.start()
    fleet_end.await_until("the small set came", lambda: stored(fleet_end) == ["tiny-base"])
    truncated = folder / "tiny-dq8.pt"
    truncated.write_bytes(truncated.read_bytes()[:1000])
    write_set(folder, whole)
    fleet_end.await_until("the whole set came", lambda: len(stored(fleet_end)) == 3)
    assert stored(fleet_end) == ["tiny-base", "tiny-base", "tiny-sq8"]
    assert fleet_end.inventories()[-1].variants == ["tiny-base", "tiny-sq8"]
    assert "event=bundle_unreadable variant=tiny-dq8" in agent.log.read_text()
    assert agent.stop() == 0


def test_it_measures_the_variants_that_it_is_told_to_and_later_others_in_the_same_sweep(
    mosquitto: Mosquitto, fleet_end: FleetEnd, make_agent: MakeAgent, good_set: Path
) -> None:
    fleet_end.is_obliging = True
    few = make_agent(mosquitto.url, good_set, "--once", more='variants = ["tiny-sq8"]\n')
    few.start()
    assert few.wait() == 0, few.log.read_text()
    assert sorted(stored(fleet_end)) == ["tiny-base", "tiny-sq8"]
    assert fleet_end.inventories()[-1].variants == ["tiny-dq8", "tiny-base", "tiny-sq8"]

    more = make_agent(mosquitto.url, good_set, "--once", more='variants = ["tiny-dq8"]\n')
    more.start()
    assert more.wait() == 0, more.log.read_text()
    assert sorted(stored(fleet_end)) == VARIANTS, "what was measured is not measured again"
    assert len({one.run.sweep_id for one in fleet_end.results()}) == 1


def test_failures_are_delivered_like_any_other_result(
    mosquitto: Mosquitto, fleet_end: FleetEnd, make_agent: MakeAgent, good_set: Path
) -> None:
    """What does not fit on the box is a fact about the box."""
    fleet_end.is_obliging = True
    agent = make_agent(mosquitto.url, good_set, "--once", more="memory_limit_mb = 120\n")
    agent.start()
    assert agent.wait() == 0, agent.log.read_text()
    assert {r.run.status for r in fleet_end.results()} == {RunStatus.OOM}
    # As they happened, and chance settles the order.
    assert sorted(stored(fleet_end)) == VARIANTS


def test_two_agents_do_not_share_a_state_folder(
    mosquitto: Mosquitto, fleet_end: FleetEnd, make_agent: MakeAgent, good_set: Path
) -> None:
    """The second ends at once and says why."""
    first = make_agent(mosquitto.url, good_set)
    first.start()
    fleet_end.await_until("it is online", lambda: len(fleet_end.states()) == 1)
    second = make_agent(mosquitto.url, good_set)
    second.start()
    assert second.wait() == 1
    assert "another agent uses it" in second.log.read_text()
    assert first.stop() == 0


def test_a_damaged_database_is_set_aside_and_a_vanished_one_ends_the_agent(
    mosquitto: Mosquitto, make_agent: MakeAgent, good_set: Path, tmp_path: Path
) -> None:
    """Neither wedges the box: it measures again, or ends so that it is started again."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "agent.sqlite").write_bytes(b"no database" * 1000)
    agent = make_agent(mosquitto.url, good_set)
    agent.start()
    wait_until("it set the file aside", lambda: agent.says("event=journal_set_aside"))
    assert (state / "agent.sqlite.damaged").read_bytes().startswith(b"no database")
    wait_until("it measures", lambda: agent.says("event=sweep_begins"))
    shutil.rmtree(state)
    assert agent.wait() == 1, agent.log.read_text()
    assert "start the agent again" in agent.log.read_text()
