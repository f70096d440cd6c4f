"""One box that is deployed to again and again, and the fleet that it belongs to."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.box import PYTHON, Box, Done, is_at_work
from support.collectors import ServeProcess
from support.processes import run_json, wait_until
from support.wheels import other_wheel

BROKEN_WHEN_RUN = """

def _break(*_: object, **__: object) -> None:
    raise SystemExit("this release is broken")


Daemon.run = _break
"""


@dataclass
class Joined:
    """A box whose agent was deployed and has announced itself."""

    box: Box
    serve: ServeProcess
    store_url: str
    bundles: Path
    authority: Path
    first: Done

    def deploy(self, *options: object) -> Done:
        return self.box.deploy("--json", *options)

    def releases(self) -> list[str]:
        return sorted(one.name for one in (self.box.base / "releases").iterdir())

    def results(self) -> list[str]:
        rows = run_json("edgewright-fleet", "results", "plant-7/press-03", "--db", self.store_url)
        return sorted(row["variant"] for row in rows)


@pytest.fixture(scope="module")
def joined(
    make_box: Callable[..., Box], bundles: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Joined]:
    folder = tmp_path_factory.mktemp("fleet")
    store_url, authority = f"sqlite:///{folder / 'fleet.db'}", str(folder / "authority")
    where = ["--authority", authority, "--db", store_url]
    serve = ServeProcess(["--listen", "mqtts://127.0.0.1:0", *where], folder / "serve.log")
    box = make_box(
        "--user", "--system-site-packages", "--python", str(PYTHON), "--authority", authority,
    )  # fmt: skip
    first = box.deploy(
        "--json", "--site", "plant-7", "--device", "press-03", "--bundles", bundles,
        "--broker", serve.url, "--set", "min_seconds=0.05", "--set", "rounds=1",
    )  # fmt: skip
    yield Joined(box, serve, store_url, bundles, Path(authority), first)
    serve.close()


def test_the_first_deploy_ends_with_an_agent_that_delivers(joined: Joined) -> None:
    assert joined.first.code == 0, joined.first.errors
    outcome = joined.first.outcome
    assert (outcome["site"], outcome["device"]) == ("plant-7", "press-03")
    assert outcome["previous_release"] is None
    assert outcome["torch"]
    assert joined.box.is_alive()
    wait_until("its results are stored", lambda: joined.results() == ["tiny-b2", "tiny-base"])


def test_no_argument_of_ssh_and_no_output_holds_the_password(joined: Joined) -> None:
    password_file = joined.box.base / "etc/password"
    password = password_file.read_text().strip()
    assert len(password) > 20
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    assert "edgewright-agent" in joined.box.base.joinpath("current/bin/edgewright-agent").name
    assert "cat >" in joined.box.argv
    for text in (joined.box.argv, joined.first.output, joined.first.errors):
        assert password not in text


def test_the_log_is_for_its_owner_alone(joined: Joined) -> None:
    log = joined.box.base / "agent.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    # As deploys of before left it.
    log.chmod(0o644)
    older = log.with_name("agent.log.1")
    older.write_text("older\n")
    older.chmod(0o644)
    done = joined.deploy()
    assert done.code == 0, done.errors
    assert [stat.S_IMODE(one.stat().st_mode) for one in (log, older)] == [0o600, 0o600]


def test_the_same_again_leaves_the_agent_alone_and_sends_nothing(joined: Joined) -> None:
    pid = joined.box.pid
    done = joined.deploy("--bundles", joined.bundles)
    assert done.code == 0, done.errors
    assert joined.box.pid == pid
    assert joined.box.is_alive()
    assert "sent 0.0 of" in done.errors
    assert done.outcome["release"] == done.outcome["previous_release"]


def test_a_release_that_does_not_start_is_found_out_while_the_old_one_runs(
    joined: Joined, tmp_path: Path
) -> None:
    pid, release = joined.box.pid, joined.box.release
    wheel = other_wheel(tmp_path, {"agent/__init__.py": "raise SystemExit('no such luck')\n"})
    done = joined.deploy("--wheel", wheel)
    assert done.code == 1
    assert "prove the release: no such luck" in done.errors
    assert f"The old agent ({release}) runs on, untouched" in done.errors
    assert (joined.box.pid, joined.box.release) == (pid, release)
    assert joined.box.is_alive()
    assert joined.releases() == [release]
    assert not (joined.box.base / "incoming/tmp").exists()


def test_a_release_that_failed_stays_where_somebody_wants_to_look_at_it(
    joined: Joined, tmp_path: Path
) -> None:
    release = joined.box.release
    wheel = other_wheel(tmp_path, {"agent/__init__.py": "raise SystemExit('no such luck')\n"})
    assert joined.deploy("--wheel", wheel, "--keep-failed").code == 1
    assert len(joined.releases()) == 2
    done = joined.deploy()
    assert done.code == 0, done.errors
    assert "remove what an earlier deploy left: " in done.errors
    assert joined.releases() == [release]


def test_a_release_that_ends_at_once_gives_way_to_the_old_one(
    joined: Joined, tmp_path: Path
) -> None:
    release = joined.box.release
    settings = (joined.box.base / "etc/agent.toml").read_text()
    wheel = other_wheel(tmp_path, {"agent/daemon.py": BROKEN_WHEN_RUN})
    done = joined.deploy("--wheel", wheel, "--timeout-s", 5, "--set", "rounds=2")
    assert done.code == 1
    assert "wait for its announcement" in done.errors
    assert "this release is broken" in done.errors
    assert f"The old agent ({release}) was started again" in done.errors
    assert joined.box.release == release
    assert joined.releases() == [release]
    # The agent before it has said this, and nothing of the kind was said by the broken one.
    assert "event=sweep_begins" in (joined.box.base / "agent.log").read_text()
    assert "event=" not in done.errors
    assert (joined.box.base / "etc/agent.toml").read_text() == settings
    assert joined.box.is_alive()


def test_an_upgrade_keeps_identity_state_and_what_the_operator_wrote(
    joined: Joined, tmp_path: Path
) -> None:
    base, before = joined.box.base, joined.box.release
    password = (base / "etc/password").read_text()
    stored = len(joined.results())
    toml = base / "etc/agent.toml"
    toml.write_text(f'{toml.read_text()}# of the night shift\ngroups = ["cold-hall"]\n')
    wheel = other_wheel(tmp_path, {"agent/__init__.py": "# a later release\n"})
    house = tmp_path / "house"
    house.mkdir()
    # The box has all that the agent needs, so any wheel makes a wheelhouse.
    shutil.copy(wheel, house)
    done = joined.deploy("--wheel", wheel, "--wheelhouse", house)
    assert done.code == 0, done.errors
    assert "copy the wheelhouse" in done.errors
    assert done.outcome["previous_release"] == before
    assert joined.box.release == done.outcome["release"] != before
    assert (base / "etc/password").read_text() == password
    assert '# of the night shift\ngroups = ["cold-hall"]\n' in toml.read_text()
    assert len(list((base / "releases").iterdir())) == 2
    (device,) = run_json("edgewright-fleet", "devices", "--db", joined.store_url)
    assert device["presence"] == "online"
    assert device["missing"] == 0
    # What was measured is known to be: nothing is measured twice for an upgrade.
    assert len(joined.results()) == stored


def test_a_file_that_was_damaged_on_the_box_is_sent_again(joined: Joined) -> None:
    damaged = joined.box.base / "bundles/current/tiny-base.pt"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = joined.deploy("--bundles", joined.bundles)
    assert done.code == 0, done.errors
    assert damaged.read_bytes() == content


def test_another_bundle_set_takes_the_place_of_the_first(joined: Joined, tmp_path: Path) -> None:
    other = shutil.copytree(joined.bundles, tmp_path / "other")
    text = (other / "set.json").read_text()
    (other / "set.json").write_text(text.replace('"baseline": "tiny-base"', '"baseline":"tiny-b2"'))
    done = joined.deploy("--bundles", other)
    assert done.code == 0, done.errors
    assert (joined.box.base / "bundles/current/set.json").read_bytes() == (
        other / "set.json"
    ).read_bytes()
    assert len(list((joined.box.base / "bundles").iterdir())) == 2


def test_a_password_that_is_not_the_accounts_is_replaced(joined: Joined) -> None:
    password_file = joined.box.base / "etc/password"
    old = password_file.read_text()
    password_file.write_text("something else\n")
    done = joined.deploy()
    assert done.code == 0, done.errors
    assert "enroll the device" in done.errors
    assert password_file.read_text() not in {old, "something else\n"}


def test_a_box_keeps_its_name(joined: Joined) -> None:
    pid = joined.box.pid
    done = joined.deploy("--device", "press-04")
    assert done.code == 2
    assert "this box is plant-7/press-03 already" in done.errors
    assert joined.box.pid == pid


def test_a_dry_run_prints_the_steps_and_changes_nothing(
    joined: Joined, make_box: Callable[..., Box]
) -> None:
    other = make_box(*joined.box.options, "--broker", joined.serve.url)
    accounts = (joined.authority / "passwords").read_text()
    done = other.deploy("--dry-run", "--bundles", joined.bundles, "--set", "threads=[1, 2]")
    assert done.code == 0, done.errors
    for said in (
        "make folders",
        "-m venv --system-site-packages",
        "-m pip install",
        "tiny-base.pt",
        "< threads = [1, 2]",
        "setsid nohup",
        "Nothing was changed.",
    ):
        assert said in done.output
    # Each fact of the box is a line.
    assert "\\n" not in done.errors
    assert any(line.startswith("torch ") for line in done.errors.splitlines())
    assert list(other.sshd.home.iterdir()) == []
    assert (joined.authority / "passwords").read_text() == accounts


def test_a_removed_agent_leaves_its_settings_and_what_it_measured(joined: Joined) -> None:
    base, pid = joined.box.base, joined.box.pid
    done = joined.box.remove("--json")
    assert done.code == 0, done.errors
    assert not is_at_work(pid)
    assert not (base / "releases").exists()
    assert (base / "etc/agent.toml").exists()
    assert (base / "state/agent.sqlite").exists()
    assert "remove its releases" in done.errors
    kept = [str(base / one) for one in ("agent.log", "agent.log.1", "etc", "state")]
    assert sorted(done.outcome["kept"]) == kept
    again = joined.box.remove("--json")
    assert again.code == 0, again.errors
    assert again.outcome["steps"] == []
    assert sorted(again.outcome["kept"]) == kept


def test_what_a_removal_left_goes_with_a_later_purge(joined: Joined) -> None:
    base = joined.box.base
    assert (base / "etc/password").exists()
    others = [base / "etc/others.conf", base / "state/notes.txt"]
    for one in others:
        one.write_text("not of a deploy\n")
    purged = joined.box.remove("--json", "--purge")
    assert purged.code == 0, purged.errors
    assert purged.outcome["release"] is None
    assert "remove its settings and its password" in purged.outcome["steps"]
    assert sorted(one for one in base.rglob("*") if one.is_file()) == others
    assert [one.partition(" stays: ")[0] for one in purged.outcome["notes"]] == [
        f"note: {one}" for one in (base / "etc", base / "state", base)
    ]
    shutil.rmtree(base)
    nothing = joined.box.remove("--json", "--purge")
    assert (nothing.outcome["steps"], nothing.outcome["kept"]) == ([], [])
    assert not base.exists()
