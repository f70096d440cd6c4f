"""The agent's configuration."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from agent.config import EXAMPLE, load_config
from agent.errors import ConfigError
from contract.access import Access

REQUIRED = """\
site = "plant-7"
device = "press-03"
broker = "mqtt://127.0.0.1:1883"
bundles = "bundles"
state_dir = "/var/lib/agent"
"""


def write(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def test_the_documented_example_is_valid(tmp_path: Path) -> None:
    """What --help shows can be pasted into a file."""
    config = load_config(write(tmp_path, EXAMPLE), environment={}, flags={})
    assert config.threads == [1, 4]
    assert config.memory_limit_bytes == 420_000_000
    assert (config.serve_host, config.serve_port) == ("127.0.0.1", 8080)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """Editors of another system put one first."""
    path = write(tmp_path, "")
    path.write_bytes(codecs.BOM_UTF8 + REQUIRED.encode())
    assert load_config(path, environment={}, flags={}).site == "plant-7"


def test_nothing_is_served_unless_a_port_is_given(tmp_path: Path) -> None:
    """Not every device is to answer over HTTP."""
    config = load_config(write(tmp_path, REQUIRED), environment={}, flags={})
    assert config.serve_port is None
    environment = {
        "EDGEWRIGHT_AGENT_SERVE_PORT": "9090",
        "EDGEWRIGHT_AGENT_SERVE_HOST": "::1",
        "EDGEWRIGHT_AGENT_SERVE_FAST_DECODE": "true",
    }
    config = load_config(write(tmp_path, REQUIRED), environment=environment, flags={})
    assert (config.serve_host, config.serve_port) == ("::1", 9090)
    assert config.serve_fast_decode


def test_relative_folders_start_at_the_file_and_absolute_ones_stay(tmp_path: Path) -> None:
    """The working directory of a service is nobody's choice."""
    config = load_config(write(tmp_path, REQUIRED), environment={}, flags={})
    assert config.bundles == str(tmp_path / "bundles")
    assert config.state_dir == "/var/lib/agent"


def test_files_of_credentials_start_at_the_file_and_the_account_is_the_devices_own(
    tmp_path: Path,
) -> None:
    """What `enroll` wrote is copied beside the configuration."""
    text = REQUIRED.replace("mqtt:", "mqtts:")
    text += 'ca_file = "ca.pem"\npassword_file = "secrets/password"\n'
    access = load_config(write(tmp_path, text), environment={}, flags={}).broker_access
    assert access.ca_file == tmp_path / "ca.pem"
    assert access.password_file == tmp_path / "secrets" / "password"
    assert access.username == "plant-7/press-03"


def test_an_account_of_another_name_can_be_given(tmp_path: Path) -> None:
    """Brokers of others have names of their own."""
    text = REQUIRED + 'password_file = "password"\n'
    environment = {"EDGEWRIGHT_AGENT_USERNAME": "someone"}
    config = load_config(write(tmp_path, text), environment=environment, flags={})
    assert config.broker_access.username == "someone"


def test_without_a_password_file_there_is_no_account(tmp_path: Path) -> None:
    """An open broker on loopback needs none."""
    config = load_config(write(tmp_path, REQUIRED), environment={}, flags={})
    assert config.broker_access == Access()


def test_a_password_does_not_travel_without_tls(tmp_path: Path) -> None:
    """On loopback, behind a tunnel, nobody listens."""
    text = REQUIRED.replace("127.0.0.1", "192.168.1.10") + 'password_file = "password"\n'
    with pytest.raises(ConfigError, match="expected mqtts://"):
        load_config(write(tmp_path, text), environment={}, flags={})


def test_flags_win_over_the_environment_over_the_file(tmp_path: Path) -> None:
    """The nearer to the person, the stronger."""
    path = write(tmp_path, REQUIRED + "threads = [1]\n")
    environment = {
        "EDGEWRIGHT_AGENT_BROKER": "mqtt://from-environment",
        "EDGEWRIGHT_AGENT_SITE": "north",
        "EDGEWRIGHT_AGENT_THREADS": "[1, 2]",
        "EDGEWRIGHT_AGENT_EMULATES": "a small board",
    }
    flags = {"broker": "mqtt://from-flag", "bundles": None}
    config = load_config(path, environment=environment, flags=flags)
    assert config.broker == "mqtt://from-flag"
    assert config.site == "north"
    assert config.threads == [1, 2]
    assert config.emulates == "a small board"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("site = ", "agent.toml"),
        (REQUIRED.replace("site", "sight"), "sight"),
        (REQUIRED.replace('"plant-7"', '"Plant 7"'), "site 'Plant 7'"),
        (REQUIRED + "threads = [0]\n", r"\$.threads"),
        (REQUIRED + "threads = []\n", r"\$.threads"),
        (REQUIRED + "memory_limit_mb = -1\n", r"\$.memory_limit_mb"),
        (REQUIRED + 'log_level = "loud"\n', r"\$.log_level"),
        (REQUIRED + "serve_port = 65536\n", r"\$.serve_port"),
        (REQUIRED.replace("mqtt:", "amqp:"), "broker"),
        ('site = "plant-7"\n', "device"),
    ],
)
def test_a_bad_value_is_named_with_its_field(tmp_path: Path, text: str, named: str) -> None:
    """The message leads to the line to change."""
    with pytest.raises(ConfigError, match=named):
        load_config(write(tmp_path, text), environment={}, flags={})


def test_a_bad_value_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    """Nobody looks for it in the file then."""
    environment = {"EDGEWRIGHT_AGENT_THREADS": "one, two"}
    with pytest.raises(ConfigError, match="EDGEWRIGHT_AGENT_THREADS"):
        load_config(write(tmp_path, REQUIRED), environment=environment, flags={})
