"""A device with few measurements, beside a fleet with many."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from contract.benchmark import RunStatus
from fleet.choosing.decision import Ref, ref_of
from fleet.choosing.metric import Metric
from fleet.choosing.policy import load_policy, parse_policy
from fleet.predicting.fleet_model import FEWEST_TEACHERS, FleetModel, learn_fleet
from fleet.predicting.forecasting import forecast
from fleet.predicting.record import DeviceRecord
from support.simulated_records import simulated_record, without_runs

TERMS = load_policy("most-accurate").terms_for("simulated", "any", [])
TEACHERS, PUPILS = 24, 12


@pytest.fixture(scope="module")
def pupils() -> list[DeviceRecord]:
    """Devices with all that they would measure."""
    return [simulated_record(TEACHERS + number) for number in range(PUPILS)]


@pytest.fixture(scope="module")
def fleet(pupils: list[DeviceRecord]) -> FleetModel:
    """A fleet of which the pupils have measured nothing."""
    teachers = [simulated_record(number) for number in range(TEACHERS)]
    return learn_fleet([*teachers, *map(without_runs, pupils)])


def test_intervals_hold_about_as_often_as_they_say(
    fleet: FleetModel, pupils: list[DeviceRecord]
) -> None:
    held = []
    for number, pupil in enumerate(pupils):
        some = fleet.with_more(TEACHERS + number, pupil.candidates[::6])
        truth = {ref_of(one): one for one in pupil.candidates}
        for one in forecast(some, TEACHERS + number, TERMS).predictions:
            p95_ms = truth[one.ref].p95_ms
            if p95_ms is not None:
                held.append(one.p95_interval_ms.low <= p95_ms <= one.p95_interval_ms.high)
    assert len(held) > 150
    assert 0.88 < sum(held) / len(held) <= 1.0


def test_only_what_is_not_measured_is_predicted_and_proposed(
    fleet: FleetModel, pupils: list[DeviceRecord]
) -> None:
    own = pupils[0].candidates[:3]
    told = forecast(fleet.with_more(TEACHERS, own), TEACHERS, TERMS)
    done = {ref_of(one) for one in own}
    predicted = {one.ref for one in told.predictions}
    assert done.isdisjoint(predicted)
    assert set(told.next) <= predicted
    assert (told.measured, told.possible) == (3, len(predicted) + 3)
    assert all(one.predicted for one in told.predictions)
    assert told.present in done


def test_measuring_changes_the_chances_until_nothing_is_worth_it(
    fleet: FleetModel, pupils: list[DeviceRecord]
) -> None:
    before = forecast(fleet, TEACHERS, TERMS)
    after = forecast(fleet.with_more(TEACHERS, pupils[0].candidates), TEACHERS, TERMS)
    assert before.change == 1.0
    assert before.next
    assert (after.change, after.next, after.predictions) == (0.0, (), ())


def test_the_same_seed_gives_the_same_forecast(fleet: FleetModel) -> None:
    assert forecast(fleet, TEACHERS, TERMS, seed=5) == forecast(fleet, TEACHERS, TERMS, seed=5)


def test_with_too_few_teachers_everything_is_to_be_measured_and_the_reason_is_said() -> None:
    records = [simulated_record(number) for number in range(FEWEST_TEACHERS - 1)]
    pupil = simulated_record(40, share=0.1)
    told = forecast(learn_fleet([*records, pupil]), len(records), TERMS)
    assert told.obstacle is not None
    assert "11 devices have measured at least 50%" in told.obstacle
    assert len(told.next) == told.possible - told.measured > 0
    assert told.predictions == ()


def test_an_empty_fleet_predicts_nothing() -> None:
    told = forecast(learn_fleet([without_runs(simulated_record(0))]), 0, TERMS)
    assert (told.possible, told.next) == (0, ())


def test_what_failed_on_boxes_like_it_is_expected_to_fail() -> None:
    records = [simulated_record(number) for number in range(TEACHERS)]
    (kind, count), *_ = Counter(map(kind_of, records)).most_common(1)
    assert count > 2
    place = next(row for row, one in enumerate(records) if kind_of(one) == kind)
    unlucky = ref_of(records[place].candidates[-1])

    def spoilt(one: DeviceRecord) -> DeviceRecord:
        runs = [
            msgspec.structs.replace(run, status=RunStatus.OOM, reason="killed")
            if kind_of(one) == kind and ref_of(run) == unlucky
            else run
            for run in one.candidates
        ]
        return msgspec.structs.replace(one, candidates=tuple(runs))

    others = [spoilt(one) for row, one in enumerate(records) if row != place]
    told = forecast(learn_fleet([without_runs(records[place]), *others]), 0, TERMS)
    by_ref = {one.ref: one for one in told.predictions}
    assert by_ref[unlucky].fails > 0.5
    assert by_ref[unlucky].among_best < 0.5
    assert max(one.fails for one in told.predictions if one.ref != unlucky) < 0.5


def kind_of(record: DeviceRecord) -> tuple[str, int]:
    assert record.inventory is not None
    return record.inventory.cpu_model, record.inventory.ram_bytes


def test_gaps_in_what_the_teachers_measured_do_not_keep_them_from_teaching() -> None:
    def gappy(number: int) -> DeviceRecord:
        full = simulated_record(number)
        kept = tuple(one for place, one in enumerate(full.candidates) if (place + number) % 4)
        return msgspec.structs.replace(full, candidates=kept)

    pupil = without_runs(simulated_record(40))
    model = learn_fleet([*(gappy(number) for number in range(TEACHERS)), pupil])
    truth = {ref_of(one): one.p95_ms for one in simulated_record(40).candidates}
    told = forecast(model, TEACHERS, TERMS)
    assert len(told.predictions) == len(truth)
    for one in told.predictions:
        expected = truth[one.ref]
        assert expected is not None
        assert 0.4 < one.p95_ms / expected < 2.5


def test_a_figure_that_the_device_cannot_tell_wins_nothing() -> None:
    text = 'name = "e"\nobjectives = ["min energy_mj"]\nconstraints = ["energy_mj <= 1e9"]\n'
    terms = parse_policy(text, source="e").terms_for("simulated", "any", [])
    metering = [
        one
        for one in (simulated_record(number) for number in range(120))
        if one.inventory is not None and one.inventory.energy_source
    ]
    deaf = next(
        one
        for one in (simulated_record(number, share=0.2) for number in range(120))
        if one.inventory is not None and not one.inventory.energy_source
    )
    model = learn_fleet([deaf, *metering[:FEWEST_TEACHERS]], [Metric.ENERGY_MJ])
    assert Metric.ENERGY_MJ in model.models
    assert Metric.ENERGY_MJ not in model.beliefs(0)
    told = forecast(model, 0, terms)
    assert all(isinstance(one.ref, Ref) for one in told.predictions)


def test_a_device_without_an_inventory_is_predicted_from_what_it_measured(
    fleet: FleetModel, pupils: list[DeviceRecord]
) -> None:
    own = msgspec.structs.replace(pupils[0], inventory=None, candidates=pupils[0].candidates[:6])
    told = forecast(learn_fleet([own, *fleet.records[:TEACHERS]]), 0, TERMS)
    assert told.obstacle is None
    assert told.kin == 0
    assert told.predictions
