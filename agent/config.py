"""The agent's configuration: one TOML file, overlaid by the environment and by flags.

`EXAMPLE` explains every key. Each can be set by an environment variable as well,
`EDGEWRIGHT_AGENT_` and the key in capitals (`EDGEWRIGHT_AGENT_THREADS="[1, 2]"`); flags of
`run` come last and win.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from agent.effort import Effort
from agent.errors import ConfigError
from contract.access import Access, username_of
from contract.address import BrokerAddress, parse_broker_url
from contract.errors import BrokerUrlError, TopicError
from contract.files import read_handwritten
from contract.settings import AgentSettings, LogLevel, is_text
from contract.topics import check_id

EXAMPLE = """\
site = "plant-7"         # required, as are the next four; 1 to 64 of a-z 0-9 _ -
device = "press-03"
broker = "mqtts://192.168.1.10:8883" # or mqtt:// without TLS
bundles = "bundles"      # folder with set.json, relative to this file
state_dir = "state"      # outbox and active variant live here
threads = [1, 4]         # thread counts to measure; default [1]
variants = ["net-base"]  # measure these alone and the baseline; default all of the set
memory_limit_mb = 420    # 10^6 bytes for one worker; default no limit
timeout_s = 120          # for one variant, its start included
mode = "quick"           # or "sustained": each variant until its latency has settled
rounds = 2               # quick: fresh processes for each variant, spread over the sweep
min_seconds = 0.75       # quick: each process measures at least this long
min_runs = 10            # ... and at least this often
max_minutes = 10         # sustained: at most this long for each variant
evalset_seconds = 5      # accuracy on this device, where the set has images for it; 0: none
rebench_hours = 168      # measure again after this time; default never
groups = ["cold-hall"]   # the fleet's policies may name them; up to 64 visible characters each
emulates = "a small board" # where it stands for another device
outbox_limit_mb = 64     # space for results not acknowledged yet
serve_port = 8080        # serve the active variant over HTTP; default: no serving
serve_host = "127.0.0.1" # address to listen on; another one than this takes
serve_allow_remote = false # ... true, for there is no authentication
serve_fast_decode = false # decode large JPEGs at a fraction of their size
log_level = "info"       # debug, info, warning or error
log_file = "agent.log"   # begun anew at 5 MB, with one older part; default standard error
# What mqtts:// needs; 'edgewright-fleet enroll' writes both files:
ca_file = "ca.pem"       # whom to trust; default the system's authorities
password_file = "password" # this device's own; default no account
username = "plant-7/press-03" # default site/device
# The environment can replace any key: EDGEWRIGHT_AGENT_THREADS='[1, 2]'; flags win over both.
"""
_ENVIRONMENT_PREFIX = "EDGEWRIGHT_AGENT_"
_BYTES_PER_MB = 1_000_000
_SECONDS_PER_MINUTE = 60.0
_PATH_KEYS = ("bundles", "state_dir", "ca_file", "password_file", "log_file")
DEFAULT_PORT = 8080

LOG_LEVELS: tuple[str, ...] = get_args(LogLevel)


class AgentConfig(AgentSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that `run` needs to know; `EXAMPLE` explains each key."""

    @property
    def broker_address(self) -> BrokerAddress:
        """Host and port of the broker."""
        return parse_broker_url(self.broker)

    @property
    def effort(self) -> Effort:
        """How each variant is measured."""
        return Effort(
            mode=self.mode,
            rounds=self.rounds,
            min_seconds=self.min_seconds,
            min_runs=self.min_runs,
            max_seconds=self.max_minutes * _SECONDS_PER_MINUTE,
            evalset_seconds=self.evalset_seconds,
        )

    @property
    def broker_access(self) -> Access:
        """How the broker and this device prove themselves to each other."""
        username = self.username
        if username is None and self.password_file is not None:
            username = username_of(self.site, self.device)
        return Access(
            ca_file=_path(self.ca_file),
            username=username,
            password_file=_path(self.password_file),
        )

    @property
    def log_path(self) -> Path | None:
        """Where the log goes; None: to standard error."""
        return _path(self.log_file)

    @property
    def memory_limit_bytes(self) -> int | None:
        """Memory of one worker."""
        return None if self.memory_limit_mb is None else int(self.memory_limit_mb * _BYTES_PER_MB)

    @property
    def outbox_limit_bytes(self) -> int:
        """Space for the agent's database."""
        return int(self.outbox_limit_mb * _BYTES_PER_MB)


def load_config(
    path: Path,
    *,
    environment: Mapping[str, str],
    flags: Mapping[str, str | None],
) -> AgentConfig:
    """Read, overlay and check the configuration.

    Args:
        path: the TOML file; relative paths in it start from where it lies.
        environment: usually `os.environ`.
        flags: keys given on the command line; None where a flag was not given.

    Raises:
        ConfigError: unreadable, not TOML, an unknown key, or a value out of its range.
    """
    try:
        content: dict[str, Any] = tomllib.loads(read_handwritten(path))
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: {error}; expected a TOML file, see 'edgewright-agent run --help'"
        raise ConfigError(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{path}: {error}; expected TOML, see 'edgewright-agent run --help'"
        raise ConfigError(message) from error
    for key in _PATH_KEYS:
        # One that is empty is a mistake, and not the folder of the file.
        if isinstance(content.get(key), str) and content[key]:
            content[key] = str(path.absolute().parent / content[key])
    content |= _from_environment(environment)
    content |= {key: value for key, value in flags.items() if value is not None}
    try:
        config = msgspec.convert(content, AgentConfig)
        check_id("site", config.site)
        check_id("device", config.device)
        address = parse_broker_url(config.broker)
    except (msgspec.ValidationError, TopicError, BrokerUrlError) as error:
        message = f"{path}: {error}; see 'edgewright-agent run --help'"
        raise ConfigError(message) from error
    if config.password_file is not None and not (address.tls or address.is_loopback):
        message = (
            f"{path}: broker {address}: expected mqtts:// where there is a password_file, for "
            "without TLS everybody on the way can read the password"
        )
        raise ConfigError(message)
    return config


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(AgentConfig):
        name = _ENVIRONMENT_PREFIX + field.name.upper()
        text = environment.get(name)
        if text is None:
            continue
        if is_text(field.name):
            found[field.name] = text
            continue
        try:
            found[field.name] = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError) as error:
            message = f"{name}: expected a TOML value such as 2 or [1, 2], got '{text}'"
            raise ConfigError(message) from error
    return found
