"""Bundle sets, and agents that run as processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.manifest import Scheme
from support.brokers import Mosquitto
from support.fleet_end import FleetEnd
from support.processes import Process, program
from support.tiny_bundles import SetMaker


@pytest.fixture(scope="session")
def set_maker(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], SetMaker]:
    """Maker of bundle sets, each in a folder of its own."""
    return lambda: SetMaker(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="session")
def good_set(set_maker: Callable[[], SetMaker]) -> Path:
    """A set of three variants that all run well: FP32, dynamic and static INT8."""
    maker = set_maker()
    maker.add("tiny-dq8", scheme=Scheme.DYNAMIC_INT8, top1=0.89)
    maker.add("tiny-base")
    maker.add("tiny-sq8", scheme=Scheme.STATIC_INT8, top1=0.88)
    return maker.finish()


@pytest.fixture
def fleet_end(mosquitto: Mosquitto) -> Iterator[FleetEnd]:
    """The fleet's end of the wire for device lab/box; it acknowledges nothing by itself."""
    end = FleetEnd(mosquitto.url, site="lab", device="box")
    yield end
    end.close()


@pytest.fixture
def make_agent(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Agents of lab/box with a configuration and a state folder; not started."""
    made: list[Process] = []

    def make(broker: str, bundles: Path, *options: str, more: str = "", rounds: int = 1) -> Process:
        config = tmp_path / "agent.toml"
        config.write_text(
            f'site = "lab"\ndevice = "box"\nbroker = "{broker}"\nbundles = "{bundles}"\n'
            f'state_dir = "state"\nrounds = {rounds}\nmin_seconds = 0.1\n{more}',
        )
        words = [program("edgewright-agent"), "run", "--config", str(config), *options]
        made.append(Process(words, tmp_path / "agent.log"))
        return made[-1]

    yield make
    for process in made:
        if process.popen is not None and process.popen.poll() is None:
            process.kill()
