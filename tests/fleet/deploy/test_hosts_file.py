"""The file of many boxes: what it orders, and how its mistakes are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet.deploy.hosts_file import EXAMPLE, read_hosts
from fleet.deploy.order import Order
from fleet.errors import OrderError

DEFAULTS = Order(target="", authority=Path("authority"), timeout_s=180.0)


def read(folder: Path, text: str, **given: Any) -> list[Order]:  # noqa: ANN401 - fields of an order
    path = folder / "hosts.toml"
    path.write_text(text)
    return read_hosts(path, given, DEFAULTS)


def test_the_example_of_the_help_is_understood(tmp_path: Path) -> None:
    (tmp_path / "bundles").mkdir()
    first, second = read(tmp_path, EXAMPLE)
    assert (first.target, first.site, first.device) == ("pi@press-03", "plant-7", "press-03")
    assert first.bundles == tmp_path / "bundles"
    assert first.settings == ('groups=["cold-hall"]',)
    assert first.timeout_s == 180.0
    assert not first.for_user
    assert second.for_user
    assert second.settings == ("threads=[1, 4]",)
    assert second.broker == "mqtts://fleet.example:8883"


def test_the_example_of_the_docs_is_understood(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/deploy.md").read_text()
    (tmp_path / "bundles").mkdir()
    assert len(read(tmp_path, page.split("```toml\n", 1)[1].split("```", 1)[0])) == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{ thread = [1] }", "unknown key; did you mean 'threads'?"),
        ("{ threads = 4 }", "expected a list in brackets with at least one item"),
        ("{ timeout_s = inf }", "got inf"),
        ("{ memory_limit_mb = 1e300 }", "got 1e+300"),
        ("{ threads = [0] }", "got [0]"),
        ('{ mode = "quik" }', 'got "quik"'),
        ("{ serve_port = 70000 }", "got 70000"),
    ],
)
@pytest.mark.parametrize("table", ["[defaults]", '[[hosts]]\nhost = "one"'])
def test_a_key_that_no_agent_takes_is_told_with_its_line(
    tmp_path: Path, table: str, settings: str, said: str
) -> None:
    """Else the box finds it, after minutes of installing."""
    text = f'{table}\nset = {settings}\n[[hosts]]\nhost = "two"\n'
    with pytest.raises(OrderError, match=r"hosts\.toml") as error:
        read(tmp_path, text)
    assert said in str(error.value)
    line = 1 + text[: text.index("set = ")].count("\n")
    assert f":{line}:" in str(error.value)


def test_a_box_overrules_the_defaults_and_the_command_line_overrules_both(tmp_path: Path) -> None:
    text = """\
[defaults]
site = "a"
timeout_s = 10
set = { rounds = 1, mode = "quick" }
[[hosts]]
host = "one"
site = "b"
set = { rounds = 2 }
[[hosts]]
host = "two"
"""
    one, two = read(tmp_path, text)
    assert (one.site, two.site) == ("b", "a")
    assert (one.timeout_s, two.timeout_s) == (10, 10)
    assert sorted(one.settings) == ['mode="quick"', "rounds=2"]
    one, two = read(tmp_path, text, site="c", settings=("rounds=3",))
    assert (one.site, two.site) == ("c", "c")
    assert sorted(one.settings) == sorted(two.settings) == ['mode="quick"', "rounds=3"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[[hosts]]\nhost = "a"\ndevcie = "b"\n', 3, "hosts[0].devcie: unknown key; did you mean"),
        ('[[hosts]]\nhost = "a"\ntorch-index = "b"\n', 3, "did you mean 'torch_index'?"),
        ('[default]\nsite = "a"\n[[hosts]]\nhost = "a"\n', 1, "did you mean 'defaults'?"),
        ('[defaults]\ndevice = "a"\n[[hosts]]\nhost = "a"\n', 2, "it belongs to one box"),
        ('[[hosts]]\ndevice = "a"\n', 1, "expected a host, got none"),
        ('[[hosts]]\nhost = "a"\n[[hosts]]\nhost = "a"\n', 4, "it stands first in line 2"),
        (
            '[[hosts]]\nhost = "a"\ndevice = "d"\n[[hosts]]\nhost = "b"\ndevice = "d"\n',
            6,
            "got 'd' again; it stands first in line 3",
        ),
        ('[[hosts]]\nhost = "a"\nuser = "yes"\n', 3, 'expected true or false, got "yes"'),
        ('[[hosts]]\nhost = "a"\ntimeout_s = 0\n', 3, "expected seconds, 1 or more, got 0"),
        ('[[hosts]]\nhost = "a"\ntimeout_s = nan\n', 3, "expected seconds, 1 or more"),
        ('[[hosts]]\nhost = "a"\nbundles = "missing"\n', 3, "expected a folder that is there"),
        ('[[hosts]]\nhost = "a"\nsite = "Plant 7"\n', 3, "expected 1 to 64 of a-z"),
        ('[[hosts]]\nhost = "a"\nbroker = "mqtt://192.0.2.1"\n', 3, "expected mqtts://"),
        ('[[hosts]]\nhost = "-oProxyCommand=x"\n', 2, "expected USER@HOST"),
        ('[[hosts]]\nhost = "a"\nprefix = "/x"\n', 3, "prefix goes with user = true"),
        ('[[hosts]]\nhost = "a"\ngroups = "cold"\n', 3, "expected a list of names"),
        ('[[hosts]]\nhost = "a"\nset = { site = "b" }\n', 3, "deploy decides that itself"),
        ('[[hosts]]\nhost = "a"\nset = { username = "b/c" }\n', 3, "see site and device"),
        ('[[hosts]]\nhost = "a"\nset = { password_file = "b" }\n', 3, "see new_password and cred"),
        ('[[hosts]]\nhost = "a"\nset = { ca_file = "b" }\n', 3, "deploy decides that itself"),
        ('[[hosts]]\nhost = "a"\nset = { mode = 2020-01-01 }\n', 3, "sustained, got 2020-01-01"),
        ('[[hosts]]\nhost = "a"\nset = [1]\n', 3, "such as { threads = [1, 4] }, got [1]"),
        ('[[hosts]]\nhost = "pi@"\n', 2, "expected USER@HOST"),
        ('[[hosts]]\nhost = "@box"\n', 2, "expected USER@HOST"),
        ('[[hosts]]\nhost = "a"\ntorch_index = "not a url"\n', 3, "expected a URL"),
        ('[[hosts]]\nhost = "a"\nuser = true\nprefix = "/usr/local"\n', 4, "of the agent's own"),
        ('[[hosts]]\nhost = "a"\ncredentials = "."\n', 3, "edgewright-fleet enroll"),
        (
            '[[hosts]]\nhost = "a"\nbroker = "mqtt://127.0.0.1"\nnew_password = true\n',
            1,
            "expected a broker with TLS",
        ),
        (
            '[defaults]\nset = { serve_host = "0.0.0.0" }\n[[hosts]]\nhost = "a"\n',
            3,
            "can be reached from other machines",
        ),
        (
            '[[hosts]]\nhost = "a"\ngroups = ["b"]\nset = { groups = ["c"] }\n',
            3,
            "expected groups once",
        ),
        ('[defaults]\nsite = "a"\n', 1, "expected tables [[hosts]]"),
        ('hosts = ["a"]\n', 1, 'expected tables [[hosts]] with host = "USER@HOST", got "a"'),
        ('[hosts]\nhost = "a"\n', 1, "got a table [hosts]; write [[hosts]] in double brackets"),
        ('[hosts]\nhost = "a"\n[hosts]\nhost = "b"\n', 1, "write [[hosts]] in double brackets"),
        ('[[defaults]]\nsite = "a"\n[[hosts]]\nhost = "a"\n', 1, "use single brackets"),
        ('[[hosts]]\nhost = "a"\nhost = "b"\n', 3, "it stands first in line 2"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(OrderError) as raised:
        read(tmp_path, text)
    assert f"hosts.toml:{line}:" in str(raised.value)
    assert said in str(raised.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OrderError, match="2 mistakes"):
        read(tmp_path, '[[hosts]]\nhost = "a"\nuse = true\n[[hosts]]\nhost = "b"\nsiet = "a"\n')


def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(OrderError, match=r"hosts\.toml:2:8: expected TOML"):
        read(tmp_path, "[[hosts]]\nhost = \n")


@pytest.mark.parametrize("value", ["1" + "0" * 5_000, "[" * 3_000])
def test_what_no_reader_of_toml_takes_is_told(tmp_path: Path, value: str) -> None:
    with pytest.raises(OrderError, match="expected TOML"):
        read(tmp_path, f"timeout_s = {value}\n")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (order,) = read(tmp_path, '\ufeff[[hosts]]\nhost = "a"\n')
    assert order.target == "a"


def test_a_file_in_another_encoding_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text('[[hosts]]\nhost = "a"\n', encoding="utf-16")
    with pytest.raises(OrderError, match="save it in UTF-8"):
        read_hosts(path, {}, DEFAULTS)


def test_a_box_allows_what_the_defaults_ask_for(tmp_path: Path) -> None:
    text = """\
[defaults]
set = { serve_host = "::", serve_port = 8080 }
[[hosts]]
host = "a"
set = { serve_allow_remote = true }
"""
    (order,) = read(tmp_path, text)
    assert len(order.settings) == 3
