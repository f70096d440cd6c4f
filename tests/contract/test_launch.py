"""A missing extra is one line; help answers without heavy imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

_BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def run_blocked(blocked: set[str], code: str) -> subprocess.CompletedProcess[str]:
    script = _BLOCK.format(blocked=sorted(blocked)) + code
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("program", ["builder", "agent", "fleet"])
def test_a_missing_extra_ends_in_one_line_that_says_what_to_install(program: str) -> None:
    done = run_blocked({"click"}, f"sys.argv=['x']; from {program}.__main__ import main; main()")
    assert done.returncode == 2
    assert done.stderr == (
        f"edgewright-{program} needs the package 'click', which is not installed: "
        f"pip install 'edgewright[{program}]'\n"
    )


def test_a_package_that_one_command_needs_is_named_when_that_command_runs() -> None:
    code = "sys.argv=['x', 'devices']; from fleet.__main__ import main; main()"
    done = run_blocked({"sqlalchemy"}, code)
    assert done.returncode == 2
    assert done.stderr.startswith("edgewright-fleet needs the package 'sqlalchemy'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("program", ["builder", "agent", "fleet"])
def test_help_answers_without_torch(program: str) -> None:
    code = f"sys.argv=['x','--help']; from {program}.__main__ import main; main()"
    done = run_blocked({"torch", "torchvision"}, code)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("package", "blocked"),
    [
        ("agent", {"torchvision", "builder", "fleet"}),
        ("fleet", {"torchvision", "torch", "builder", "agent"}),
    ],
)
def test_every_module_imports_where_the_forbidden_ones_cannot_be(
    package: str, blocked: set[str]
) -> None:
    code = f"""
import importlib, pkgutil, {package}
names = [m.name for m in pkgutil.walk_packages({package}.__path__, "{package}.")]
# Alembic's environment and revisions run inside Alembic only.
names = [n for n in names if not n.endswith("__main__") and ".migrations" not in n]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    done = run_blocked(blocked, code)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5
