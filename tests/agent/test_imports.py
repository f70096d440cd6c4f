"""What the agent imports, seen from fresh interpreters."""

from __future__ import annotations

import subprocess
import sys

_BLOCKED = """
import importlib, pkgutil, sys
for name in ("torchvision", "builder", "fleet"):
    sys.modules[name] = None
import agent
for module in pkgutil.walk_packages(agent.__path__, "agent."):
    if module.name != "agent.__main__":
        importlib.import_module(module.name)
"""
_LIGHT = """
import sys
import agent.cli
import agent.serving.server
import agent.daemon
heavy = {"torch", "numpy", "PIL", "rich"} & set(sys.modules)
assert not heavy, heavy
import agent.comparison
assert "torch" not in sys.modules
"""


def run(code: str) -> None:
    """Run code in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_module_imports_where_torchvision_builder_and_fleet_cannot() -> None:
    """The box never needs them."""
    run(_BLOCKED)


def test_the_command_line_and_the_daemon_import_nothing_heavy() -> None:
    """Workers and single commands do; help is fast and the daemon small."""
    run(_LIGHT)
