"""`enroll`, `revoke` and `broker-config` as a person types them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fleet.authority.authority import Authority
from fleet.authority.passwords import is_password
from fleet.cli import cli


@pytest.fixture
def authority_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that does not exist yet, and nothing of this user's own."""
    folder = tmp_path / "authority"
    monkeypatch.setenv("EDGEWRIGHT_AUTHORITY", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def fleet(*arguments: str, expect: int = 0) -> Result:
    done = CliRunner().invoke(cli, list(arguments))
    assert done.exit_code == expect, done.output
    return done


def test_enroll_writes_what_the_device_needs_and_shows_no_secret(authority_folder: Path) -> None:
    said = fleet("enroll", "lab/box", "--name", "fleet.example").output
    password = Path("lab-box/password").read_text().strip()
    assert is_password(password, Authority(authority_folder).accounts()["lab/box"])
    assert Path("lab-box/ca.pem").read_bytes() == (authority_folder / "ca.pem").read_bytes()
    assert password not in said
    for line in ('broker = "mqtts://fleet.example:8883"', 'password_file = "password"'):
        assert line in said


def test_a_new_authority_is_mentioned_once_and_only_where_it_was_made(
    authority_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fleet("enroll", "lab/box")
    fleet("enroll", "lab/box-2")
    said = [one for one in caplog.messages if "new authority made" in one]
    assert said == [f"new authority made folder={authority_folder}"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.usefixtures("authority_folder")
@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_configuration_that_is_written_again_stays_its_brokers(kind: str) -> None:
    fleet("broker-config", "--kind", kind, "--out", "broker")
    for one in [Path("broker"), *Path("broker").iterdir()]:
        os.chown(one, 65534, 65534)
    fleet("enroll", "lab/box")
    fleet("broker-config", "--kind", kind, "--out", "broker")
    owners = {one.name: one.stat().st_uid for one in Path("broker").iterdir()}
    assert len(owners) >= 2
    assert set(owners.values()) == {65534}


@pytest.mark.usefixtures("authority_folder")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "8884"], "expected HOST:PORT with both"),
        (["--listen", ":8884"], "expected HOST:PORT with both"),
        (["--listen", "0.0.0.0:0"], "expected HOST:PORT with both"),
        (["--kind", "nats", "--nats-listen", "4222"], "expected HOST:PORT with both"),
        (["--route", "n2.example.org"], "--route goes with --kind nats"),
        (["--store-dir", "nats"], "--store-dir goes with --kind nats"),
    ],
)
def test_a_configuration_guesses_nothing_of_where_the_broker_listens(
    words: list[str], said: str
) -> None:
    assert said in fleet("broker-config", *words, expect=2).output


@pytest.mark.usefixtures("authority_folder")
@pytest.mark.parametrize(
    "words",
    [
        ["--kind", "nats", "--server-name", "a b"],
        ["--kind", "nats", "--server-name", 'n1"'],
        ["--kind", "nats", "--store-dir", 'streams"'],
        ["--kind", "nats", "--out", "back\\slash"],
        ["--kind", "nats", "--out", "two\nlines"],
        ["--out", "two\nlines"],
    ],
)
def test_a_name_that_the_broker_would_read_otherwise_is_refused(words: list[str]) -> None:
    assert "expected" in fleet("broker-config", *words, expect=2).output


@pytest.mark.usefixtures("authority_folder")
@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_the_commands_that_are_printed_can_be_pasted(kind: str) -> None:
    folder = Path("of the press").absolute()
    said = fleet("broker-config", "--kind", kind, "--out", str(folder)).output
    assert f"'{folder}'" in said
    assert f"-c '{folder}/{kind}.conf'" in said


@pytest.mark.usefixtures("authority_folder")
def test_enroll_as_json_names_the_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = json.loads(
        fleet(
            "enroll", "lab/box", "--out", str(out), "--name", "10.0.0.7", "--port", "9", "--json"
        ).output
    )
    assert document["broker"] == "mqtts://10.0.0.7:9"
    assert document["username"] == "lab/box"
    password = Path(document["password_file"]).read_text().strip()
    assert password not in json.dumps(document)


def test_a_device_that_cannot_be_given_its_files_keeps_its_password(authority_folder: Path) -> None:
    fleet("enroll", "lab/box")
    before = Authority(authority_folder).accounts()
    Path("file").write_text("")
    said = fleet("enroll", "lab/box", "--out", "file/folder", expect=1).output
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
    assert said in fleet("enroll", *arguments, expect=2).output


def test_revoke_voids_an_account_and_fails_where_there_is_none(authority_folder: Path) -> None:
    fleet("enroll", "lab/box")
    fleet("revoke", "lab/box")
    assert set(Authority(authority_folder).accounts()) == {"fleet"}
    assert "is not enrolled" in fleet("revoke", "lab/box", expect=1).output


def test_broker_config_prints_a_configuration_of_files_that_are_there(
    authority_folder: Path,
) -> None:
    said = fleet("broker-config", "--listen", "10.0.0.7:8884").output
    assert "listener 8884 10.0.0.7\n" in said
    named = [Path(word) for word in said.split() if word.startswith(str(authority_folder))]
    assert len(named) == 4
    assert all(path.is_file() for path in named)


def test_broker_config_writes_copies_that_only_their_owner_reads(
    authority_folder: Path, tmp_path: Path
) -> None:
    said = fleet("broker-config", "--out", "etc").output
    config = (tmp_path / "etc" / "mosquitto.conf").read_text()
    assert str(authority_folder) not in config
    for name in ("server.pem", "passwords", "mosquitto.acl"):
        path = tmp_path / "etc" / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert str(path) in config
        assert str(path) in said


@pytest.mark.usefixtures("authority_folder")
def test_broker_config_writes_a_nats_server_with_every_account(tmp_path: Path) -> None:
    fleet("enroll", "lab/box")
    said = fleet(
        "broker-config", "--kind", "nats", "--out", "etc", "--server-name", "n1",
        "--route", "n2.example.org", "--route", "n3.example.org:7222",
    ).output  # fmt: skip
    config_file = tmp_path / "etc" / "nats.conf"
    assert config_file.stat().st_mode & 0o777 == 0o600
    assert str(config_file) in said
    config = config_file.read_text()
    assert 'routes: ["nats://n2.example.org:6222", "nats://n3.example.org:7222"]' in config
    for account in ("fleet", "lab/box"):
        assert f'user: "{account}", password: "$2b$' in config


def test_broker_config_names_accounts_that_nats_cannot_know(authority_folder: Path) -> None:
    fleet("enroll", "lab/old")
    (authority_folder / "passwords.bcrypt").unlink()
    fleet("enroll", "lab/new")
    done = fleet("broker-config", "--kind", "nats")
    assert "not in it: lab/old" in done.stderr
    assert "Enroll them again" in done.stderr
    assert 'user: "lab/new"' in done.stdout
    assert "lab/old" not in done.stdout


@pytest.mark.usefixtures("authority_folder")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--route", "n2"], "expected a name of its own"),
        (["--server-name", "n1", "--route", "nats://n2:6222"], "expected HOST[:PORT]"),
        (["--nats-listen", "n1"], "expected HOST:PORT"),
    ],
)
def test_a_cluster_that_cannot_be_is_wrong_use(arguments: list[str], said: str) -> None:
    assert said in fleet("broker-config", "--kind", "nats", *arguments, expect=2).output
