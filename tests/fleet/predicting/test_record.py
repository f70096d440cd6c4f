"""What can be compared between devices, and what each of them could measure."""

from __future__ import annotations

from contract.benchmark import RunStatus
from fleet.choosing.decision import Ref
from fleet.predicting.record import DeviceRecord, Unit, known_units
from support.measurements import make_candidate, make_inventory


def record(cores: int, *runs: tuple[str, int], **inventory: object) -> DeviceRecord:
    return DeviceRecord(
        site="lab",
        device=f"box-{cores}",
        inventory=make_inventory(usable_cores=cores, **inventory),
        candidates=tuple(make_candidate(variant, threads=threads) for variant, threads in runs),
    )


def test_all_cores_of_one_box_are_compared_with_all_cores_of_another() -> None:
    assert record(4).unit_of(Ref("a", 4)) == record(12).unit_of(Ref("a", 12)) == Unit("a", 1.0)
    assert record(4).unit_of(Ref("a", 2)) == Unit("a", 0.5)


def test_one_thread_is_one_thread_everywhere() -> None:
    assert record(1).unit_of(Ref("a", 1)) == record(12).unit_of(Ref("a", 1)) == Unit("a", 0.0)


def test_what_a_device_can_measure_goes_by_the_variants_and_threads_that_it_has() -> None:
    known = [Unit("a", 0.0), Unit("a", 1.0), Unit("b", 1.0), Unit("c", 0.0)]
    one = record(4, threads=[1, 4], variants=["a", "b"])
    assert list(one.refs(known).values()) == [Ref("a", 1), Ref("a", 4), Ref("b", 4)]
    assert list(record(4, threads=[1]).refs(known).values()) == [Ref("a", 1), Ref("c", 1)]


def test_what_it_has_measured_counts_even_where_nobody_else_has() -> None:
    assert Ref("own", 3) in record(4, ("own", 3), threads=[1]).refs([]).values()


def test_what_ran_well_nowhere_is_not_known() -> None:
    failed = make_candidate("b", status=RunStatus.OOM)
    one = DeviceRecord(
        site="lab", device="box", inventory=None, candidates=(make_candidate("a"), failed)
    )
    assert list(known_units([one])) == [Unit("a", 0.0)]
