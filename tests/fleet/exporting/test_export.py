"""Exports, read back by the programs that they are for."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest

from contract.benchmark import RunStatus
from contract.messages import encode_message
from contract.topics import Leaf
from fleet.choosing.policy import load_policy
from fleet.collecting.intake import Intake
from fleet.errors import ExportError
from fleet.exporting.form import Form, form_of, write
from fleet.exporting.subject import (
    Source,
    devices_source,
    recommendations_source,
    results_source,
)
from fleet.store.database import Database
from fleet.store.history import WhichRuns
from fleet.store.roster import Which
from support.commands import run_command
from support.filling import deliver, fill
from support.measurements import make_result, make_run

EVERY = WhichRuns()


def written(source: Source, form: Form) -> bytes:
    """Bytes of an export."""
    out = io.BytesIO()
    write(source, form, out)
    return out.getvalue()


def rows_of(source: Source) -> list[dict[str, str]]:
    """Rows of an export as CSV."""
    return list(csv.DictReader(io.StringIO(written(source, Form.CSV).decode(), newline="")))


def test_every_form_holds_every_result_once_in_order(database: Database) -> None:
    fill(database, "a", make_run("net-1"), make_run("net-2", status=RunStatus.OOM, p50_ms=1))
    fill(database, "b", make_run("net-3"), site="hall")
    expected = ["net-1", "net-2", "net-3"]
    assert [row["variant"] for row in rows_of(results_source(database, EVERY))] == expected
    array = json.loads(written(results_source(database, EVERY), Form.JSON))
    assert [row["variant"] for row in array] == expected
    lines = written(results_source(database, EVERY), Form.NDJSON).splitlines()
    assert [json.loads(line) for line in lines] == array
    parquet = io.BytesIO(written(results_source(database, EVERY), Form.PARQUET))
    table = pyarrow.parquet.read_table(parquet)
    assert table["variant"].to_pylist() == expected
    assert table["p50_ms"].to_pylist() == [row["p50_ms"] for row in array]
    assert table["golden.ok"].to_pylist() == [True, True, True]


def test_the_form_is_the_same_where_there_is_nothing(database: Database) -> None:
    for form in Form:
        content = written(results_source(database, EVERY), form)
        if form is Form.JSON:
            assert json.loads(content) == []
        elif form is Form.PARQUET:
            assert pyarrow.parquet.read_table(io.BytesIO(content)).num_rows == 0
        else:
            assert len(content.splitlines()) == (form is Form.CSV)


def test_columns_have_names_of_their_own_and_units_in_them(database: Database) -> None:
    for source in (
        results_source(database, EVERY),
        devices_source(database, Which(), now=1.0),
        recommendations_source(database, Which(), load_policy("fastest"), now=1.0),
    ):
        names = [column.name for column in source.columns]
        assert len(set(names)) == len(names)
    assert {"inventory.memory_limit_bytes", "inventory.memory.limit_bytes"} <= {
        column.name for column in devices_source(database, Which(), now=1.0).columns
    }


def test_more_than_a_page_is_whole(database: Database) -> None:
    messages = [
        deliver("lab", "box", Leaf.RESULT, encode_message(make_result(seq)))
        for seq in range(1, 2502)
    ]
    Intake(database).take(messages, now=1.0)
    rows = rows_of(results_source(database, EVERY))
    assert [int(row["seq"]) for row in rows] == list(range(1, 2502))


def test_results_are_narrowed_by_site_device_variant_and_time(database: Database) -> None:
    fill(database, "a", make_run("net-1"), make_run("net-2"))
    fill(database, "a", make_run("net-1"), site="hall")

    def count(which: WhichRuns) -> int:
        return len(rows_of(results_source(database, which)))

    assert count(WhichRuns(site="lab")) == 2
    assert count(WhichRuns(site="hall", device="a")) == 1
    assert count(WhichRuns(device="b")) == 0
    assert count(WhichRuns(variant="net-1")) == 2
    assert (count(WhichRuns(since=1_699_999_999.0)), count(WhichRuns(since=1_700_000_001.0))) == (
        3,
        0,
    )


def test_what_a_device_tells_is_no_formula_to_a_spreadsheet(database: Database) -> None:
    told = [f"{begin}HYPERLINK(1)" for begin in ("=", "+", "-", "@", "\t", "\r")]
    for number, words in enumerate(told):
        fill(database, f"box-{number}", cpu_model=words)
    rows = rows_of(devices_source(database, Which(), now=1.0))
    assert [row["inventory.cpu_model"] for row in rows] == [f"'{words}" for words in told]
    array = json.loads(written(devices_source(database, Which(), now=1.0), Form.JSON))
    assert [row["inventory"]["cpu_model"] for row in array] == told


def test_numbers_below_zero_stay_numbers(database: Database) -> None:
    fill(database, "box", make_run(top1_drop=-0.01))
    (row,) = rows_of(results_source(database, EVERY))
    assert float(row["top1_drop"]) == -0.01


def test_the_form_follows_from_the_name() -> None:
    assert [form_of(name) for name in ("a.csv", "b.x.JSON", "c.ndjson", "d.parquet")] == list(Form)
    with pytest.raises(ExportError, match=r"expected a name that ends in \.csv"):
        form_of("results")


@pytest.fixture
def export(database: Database) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return run_command("fleet", "export", *words, "--db", database.url)

    return run


def test_the_command_writes_a_file_whole_or_not_at_all(
    database: Database, export: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    fill(database, "box", make_run())
    path = tmp_path / "out.csv"
    path.write_text("before")
    done = export("recommendations", "--output", str(path))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert path.read_text().splitlines()[1].startswith("lab,box,most-accurate,chosen,net-base,")
    failed = export("devices", "--output", str(tmp_path / "no" / "out.json"))
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert sorted(one.name for one in tmp_path.iterdir() if "db" not in one.name) == ["out.csv"]


def test_a_device_is_named_with_its_site_or_beside_it(
    database: Database, export: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    fill(database, "box", make_run())
    fill(database, "box", make_run(), site="plant")
    to = ("results", "--output", "-", "--format", "ndjson")
    for words, sites in (
        (("--device", "plant/box"), ["plant"]),
        (("--device", "plant/box", "--site", "plant"), ["plant"]),
        (("--device", "box"), ["lab", "plant"]),
    ):
        rows = [json.loads(line) for line in export(*to, *words).stdout.splitlines()]
        assert [one["site"] for one in rows] == sites
    assert export(*to, "--device", "plant/box", "--site", "lab").returncode == 2


def test_a_name_that_tells_of_no_form_is_wrong_use(
    export: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = export("results", "--output", str(tmp_path / "out.xlsx"))
    assert (done.returncode, ".parquet, or --format" in done.stderr) == (2, True)


def test_standard_output_gets_what_can_go_there(
    database: Database, export: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    fill(database, "box", make_run())
    done = export("results", "--output", "-", "--format", "ndjson", "--since", "2023-01-01")
    assert (done.returncode, json.loads(done.stdout)["variant"]) == (0, "net-base")
    assert export("results", "--output", "-", "--format", "parquet").returncode == 2


def test_without_pyarrow_parquet_says_what_to_install(database: Database, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None; from fleet.cli import main; "
        f"sys.argv[1:] = ['export', 'results', '--db', {database.url!r}, "
        f"'--output', {str(tmp_path / 'out.parquet')!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert (
        done.stderr == "edgewright-fleet: Parquet needs pyarrow: pip install 'edgewright[export]'\n"
    )
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("results", "--site", "lap"), "no device of site 'lap': did you mean lab?"),
        (("devices", "--site", "lap"), "no device of site 'lap': did you mean lab?"),
        (("recommendations", "--device", "boxx"), "unknown device 'boxx': did you mean lab/box?"),
        (("results", "--device", "lab/boxx"), "did you mean lab/box?"),
        (("results", "--variant", "net-bsae"), "'net-bsae': did you mean net-base?"),
    ],
)
def test_a_name_that_nobody_has_makes_no_empty_file(
    database: Database,
    export: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    words: tuple[str, ...],
    said: str,
) -> None:
    fill(database, "box", make_run())
    done = export(*words, "--output", str(tmp_path / "out.csv"))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "out.csv").exists()
