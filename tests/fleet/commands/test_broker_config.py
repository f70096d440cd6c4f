"""`broker-config` as a person types it; that brokers take what it writes is tried elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.commands import run_fleet


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.usefixtures("authority_folder")
@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_configuration_that_is_written_again_stays_its_brokers(kind: str) -> None:
    run_fleet("broker-config", "--kind", kind, "--out", "broker")
    for one in [Path("broker"), *Path("broker").iterdir()]:
        os.chown(one, 65534, 65534)
    run_fleet("enroll", "lab/box")
    run_fleet("broker-config", "--kind", kind, "--out", "broker")
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
    assert said in run_fleet("broker-config", *words, expect=2).output


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
    assert "expected" in run_fleet("broker-config", *words, expect=2).output


@pytest.mark.usefixtures("authority_folder")
@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_the_commands_that_are_printed_can_be_pasted(kind: str) -> None:
    folder = Path("of the press").absolute()
    said = run_fleet("broker-config", "--kind", kind, "--out", str(folder)).output
    assert f"'{folder}'" in said
    assert f"-c '{folder}/{kind}.conf'" in said


def test_broker_config_prints_a_configuration_of_files_that_are_there(
    authority_folder: Path,
) -> None:
    said = run_fleet("broker-config", "--listen", "10.0.0.7:8884").output
    assert "listener 8884 10.0.0.7\n" in said
    named = [Path(word) for word in said.split() if word.startswith(str(authority_folder))]
    assert len(named) == 4
    assert all(path.is_file() for path in named)


def test_broker_config_writes_copies_that_only_their_owner_reads(
    authority_folder: Path, tmp_path: Path
) -> None:
    said = run_fleet("broker-config", "--out", "etc").output
    config = (tmp_path / "etc" / "mosquitto.conf").read_text()
    assert str(authority_folder) not in config
    for name in ("server.pem", "passwords", "mosquitto.acl"):
        path = tmp_path / "etc" / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert str(path) in config
        assert str(path) in said


@pytest.mark.usefixtures("authority_folder")
def test_broker_config_writes_a_nats_server_with_every_account(tmp_path: Path) -> None:
    run_fleet("enroll", "lab/box")
    said = run_fleet(
        "broker-config", "--kind", "nats", "--out", "etc", "--server-name", "n1",
        "--route", "n2.example.org", "--route", "n3.example.org:7222", "--route", "fd00::2",
    ).output  # fmt: skip
    config_file = tmp_path / "etc" / "nats.conf"
    accounts_file = tmp_path / "etc" / "accounts.conf"
    assert accounts_file.stat().st_mode & 0o777 == 0o600
    assert str(config_file) in said
    assert str(accounts_file) in said
    config = config_file.read_text()
    assert (
        'routes: ["nats://n2.example.org:6222", "nats://n3.example.org:7222", "nats://[fd00::2]:6222"]'
        in config
    )
    for account in ("fleet", "lab/box"):
        assert f'user: "{account}", password: "$2b$' in accounts_file.read_text()


def test_broker_config_names_accounts_that_nats_cannot_know(authority_folder: Path) -> None:
    run_fleet("enroll", "lab/old")
    (authority_folder / "passwords.bcrypt").unlink()
    run_fleet("enroll", "lab/new")
    done = run_fleet("broker-config", "--kind", "nats")
    assert "not in it: lab/old" in done.stderr
    assert "Enroll them again" in done.stderr
    assert 'user: "lab/new"' in done.stdout
    assert "lab/old" not in done.stdout


@pytest.mark.usefixtures("authority_folder")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--route", "n2"], "expected a name of its own"),
        *(
            (["--server-name", "n1", "--route", route], "expected HOST[:PORT]")
            for route in (
                "nats://n2:6222",
                "n 2",
                "n2:x",
                "n2:0",
                "n2:99999",
                "n2:",
                "me:secret@n2",
                "",
                ":1",
            )
        ),
        (["--nats-listen", "n 1:4222"], "expected a host name or an IP address"),
        (["--nats-listen", "n1"], "expected HOST:PORT"),
    ],
)
def test_a_cluster_that_cannot_be_is_wrong_use(arguments: list[str], said: str) -> None:
    assert said in run_fleet("broker-config", "--kind", "nats", *arguments, expect=2).output


WORDS = {
    "mosquitto": ["--listen", "127.0.0.1:8893"],
    "nats": [
        "--listen", "127.0.0.1:8893", "--nats-listen", "127.0.0.1:4333", "--server-name", "n1",
        "--route", "n2.example.org", "--cluster-listen", "127.0.0.1:6333", "--store-dir", "streams",
    ],
}  # fmt: skip


@pytest.fixture(params=["mosquitto", "nats"])
def written(request: pytest.FixtureRequest, authority_folder: Path) -> Path:
    """The configuration in a folder that was written with options of its own."""
    assert not authority_folder.exists()
    kind = request.param
    run_fleet("enroll", "lab/box")
    run_fleet("broker-config", "--kind", kind, "--out", "etc", *WORDS[kind])
    return Path("etc").absolute() / f"{kind}.conf"


def test_what_it_was_told_holds_when_it_is_written_again(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written.read_text()
    run_fleet("revoke", "lab/box")
    monkeypatch.delenv("EDGEWRIGHT_AUTHORITY")
    monkeypatch.chdir(written.parent)
    said = run_fleet("broker-config", "--out", ".").output
    assert "Other than before" not in said
    assert f"broker-config --out {written.parent}" in said
    assert written.read_text() == before
    assert not any("lab/box" in one.read_text() for one in written.parent.iterdir())
    assert not (tmp_path / "streams" / "streams").exists()


def test_an_option_that_is_another_is_told(written: Path) -> None:
    said = run_fleet("broker-config", "--out", "etc", "--listen", "127.0.0.1:8894").output
    assert "Other than before: --listen." in said
    assert "8894" in written.read_text()
    assert "Other than before" not in run_fleet("broker-config", "--out", "etc").output
    assert "8894" in written.read_text()


def test_what_somebody_changed_by_hand_stays(written: Path) -> None:
    with written.open("a") as config:
        config.write("# ours\n")
    run_fleet("revoke", "lab/box")
    done = run_fleet("broker-config", "--out", "etc")
    assert "was changed by hand and stays" in done.stderr
    assert written.read_text().endswith("# ours\n")
    assert not any("lab/box" in one.read_text() for one in written.parent.iterdir())
    before = {one.name: one.read_bytes() for one in written.parent.iterdir()}
    refused = run_fleet("broker-config", "--out", "etc", "--listen", "127.0.0.1:1", expect=1)
    assert "--listen cannot be put into it" in refused.output
    assert {one.name: one.read_bytes() for one in written.parent.iterdir()} == before


def test_a_folder_stays_with_its_broker_and_its_authority(written: Path, tmp_path: Path) -> None:
    before = {one.name: one.read_bytes() for one in written.parent.iterdir()}
    other = "nats" if written.stem == "mosquitto" else "mosquitto"
    said = run_fleet("broker-config", "--out", "etc", "--kind", other, expect=1).output
    assert f"written for {written.stem}" in said
    run_fleet("enroll", "lab/box", "--authority", "another")
    words = ("broker-config", "--out", "etc", "--authority")
    assert "of another authority" in run_fleet(*words, "another", expect=1).output
    assert "no authority there" in run_fleet(*words, "misspelt", expect=1).output
    assert not (tmp_path / "misspelt").exists()
    assert {one.name: one.read_bytes() for one in written.parent.iterdir()} == before


def test_a_configuration_of_unknown_options_is_not_replaced(written: Path) -> None:
    (written.parent / "broker-config.json").unlink()
    config = written.read_text()
    words = ["broker-config", "--kind", written.stem, "--out", "etc"]
    assert "give every option once more" in run_fleet(*words, expect=1).output
    assert written.read_text() == config
    # With all of them it comes out as it is.
    run_fleet(*words, *WORDS[written.stem])
    assert written.read_text() == config


def test_damaged_options_are_named(written: Path) -> None:
    for content in ("", "{}", "[]", '{"kind": "nats"'):
        (written.parent / "broker-config.json").write_text(content)
        said = run_fleet("broker-config", "--out", "etc", expect=1).output
        assert "broker-config.json" in said
