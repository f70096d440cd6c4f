"""`enroll` and `revoke` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.authority.authority import Authority
from fleet.authority.passwords import is_password
from fleet.store.database import Database
from support.commands import run_fleet
from support.filling import fill


def test_enroll_writes_what_the_device_needs_and_shows_no_secret(authority_folder: Path) -> None:
    said = run_fleet("enroll", "lab/box", "--name", "fleet.example").output
    password = Path("lab-box/password").read_text().strip()
    assert is_password(password, Authority(authority_folder).accounts()["lab/box"])
    assert Path("lab-box/ca.pem").read_bytes() == (authority_folder / "ca.pem").read_bytes()
    assert password not in said
    for line in ('broker = "mqtts://fleet.example:8883"', 'password_file = "password"'):
        assert line in said


def test_a_new_authority_is_mentioned_once_and_only_where_it_was_made(
    authority_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_fleet("enroll", "lab/box")
    run_fleet("enroll", "lab/box-2")
    said = [one for one in caplog.messages if "new authority made" in one]
    assert said == [f"new authority made folder={authority_folder}"]


@pytest.mark.usefixtures("authority_folder")
def test_enroll_as_json_names_the_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = json.loads(
        run_fleet(
            "enroll", "lab/box", "--out", str(out), "--name", "10.0.0.7", "--port", "9", "--json"
        ).output
    )
    assert document["broker"] == "mqtts://10.0.0.7:9"
    assert document["username"] == "lab/box"
    password = Path(document["password_file"]).read_text().strip()
    assert password not in json.dumps(document)


def test_a_device_that_cannot_be_given_its_files_keeps_its_password(authority_folder: Path) -> None:
    run_fleet("enroll", "lab/box")
    before = Authority(authority_folder).accounts()
    Path("file").write_text("")
    said = run_fleet("enroll", "lab/box", "--out", "file/folder", expect=1).output
    assert "expected a folder that can be written" in said
    assert Authority(authority_folder).accounts() == before


@pytest.mark.usefixtures("authority_folder")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["box"], "expected SITE/DEVICE"),
        (["lab/Box 1"], "expected 1 to 64 of a-z"),
        (["lab/box/more"], "expected 1 to 64 of a-z"),
        (["lab/box", "--name", "https://fleet"], "expected a host name"),
    ],
)
def test_a_name_that_cannot_be_is_wrong_use(arguments: list[str], said: str) -> None:
    assert said in run_fleet("enroll", *arguments, expect=2).output


def test_revoke_voids_an_account_and_fails_where_there_is_none(authority_folder: Path) -> None:
    run_fleet("enroll", "lab/box")
    run_fleet("revoke", "lab/box")
    assert set(Authority(authority_folder).accounts()) == {"fleet"}
    assert "not enrolled: lab/box" in run_fleet("revoke", "lab/box", expect=1).output


def test_several_are_enrolled_and_revoked_at_once(authority_folder: Path) -> None:
    said = run_fleet("enroll", "lab/box", "lab/press", "lab/box", "--out", "made").output
    assert "2 devices are enrolled" in said
    accounts = Authority(authority_folder).accounts()
    for name in ("lab/box", "lab/press"):
        folder = Path("made") / name.replace("/", "-")
        assert is_password((folder / "password").read_text().strip(), accounts[name])
    listed = json.loads(run_fleet("enroll", "lab/b", "lab/c", "--json").stdout)
    assert [one["username"] for one in listed] == ["lab/b", "lab/c"]
    done = run_fleet("revoke", "lab/box", "lab/nobody", "lab/b", expect=1)
    assert "not enrolled: lab/nobody" in done.stderr
    assert set(Authority(authority_folder).accounts()) == {"fleet", "lab/press", "lab/c"}


def test_devices_whose_folders_would_be_one_are_not_enrolled_together(
    authority_folder: Path,
) -> None:
    assert "a-b-c" in run_fleet("enroll", "a-b/c", "a/b-c", expect=2).output
    assert "expected 1 to 64" in run_fleet("enroll", "a/b", "a/B c", expect=2).output
    assert not authority_folder.exists()


@pytest.mark.usefixtures("authority_folder")
def test_other_brokers_are_said_to_need_more() -> None:
    for words in (["enroll", "lab/box"], ["revoke", "lab/box"]):
        said = run_fleet(*words).output
        assert "broker-config" in said
        assert "SIGHUP" in said


@pytest.mark.usefixtures("authority_folder")
def test_who_was_never_heard_of_is_listed(database: Database, store_url: str) -> None:
    run_fleet("enroll", "lab/box", "lab/silent")
    fill(database, "box")
    words = ["enrolled", "--db", store_url]
    assert "2 enrolled, 1 of them never heard of." in run_fleet(*words).stdout
    (row,) = json.loads(run_fleet(*words, "--unheard", "--json").stdout)
    assert (row["site"], row["device"], row["heard"]) == ("lab", "silent", False)
    assert len(json.loads(run_fleet(*words, "--json").stdout)) == 2


def test_no_devices_only_password_is_written_over(authority_folder: Path) -> None:
    run_fleet("enroll", "lab/box", "--out", "one")
    password = Path("one/password").read_text()
    before = Authority(authority_folder).accounts()
    said = run_fleet("enroll", "lab/other", "--out", "one", expect=1).output
    assert "one/password: expected no password there, or this device's, got another" in said
    assert Path("one/password").read_text() == password
    assert Authority(authority_folder).accounts() == before
    run_fleet("enroll", "lab/box", "--out", "one")
    assert Path("one/password").read_text() != password


@pytest.mark.usefixtures("authority_folder")
def test_a_folder_of_the_devices_own_takes_its_new_password_whatever_it_held() -> None:
    run_fleet("enroll", "lab/box")
    run_fleet("revoke", "lab/box")
    void = Path("lab-box/password").read_text()
    run_fleet("enroll", "lab/box")
    assert Path("lab-box/password").read_text() != void


def test_a_device_among_several_gets_its_new_files_where_the_old_ones_are(
    authority_folder: Path,
) -> None:
    run_fleet("enroll", "lab/a", "lab/b", "--out", "devices")
    run_fleet("enroll", "lab/b", "--out", "devices")
    password = Path("devices/lab-b/password").read_text().strip()
    assert is_password(password, Authority(authority_folder).accounts()["lab/b"])
    assert not Path("devices/password").exists()


@pytest.mark.usefixtures("authority_folder")
def test_the_name_that_is_given_becomes_the_broker_whatever_was_given_before() -> None:
    run_fleet("enroll", "lab/box", "--name", "mistyped.example")
    said = run_fleet("enroll", "lab/box", "--name", "fleet.example", "--name", "b.example").output
    assert 'broker = "mqtts://fleet.example:8883"' in said
    assert 'broker = "mqtts://fleet.example:8883"' in run_fleet("enroll", "lab/box-2").output
