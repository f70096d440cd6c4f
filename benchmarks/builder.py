"""Every variant of the builder beside ONNX Runtime and OpenVINO, on one core, in one run.

python benchmarks/builder.py --quick
"""

from __future__ import annotations

import sys
from pathlib import Path

# This file is named like the package that it measures, and Python would look here first.
sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    from benchmarks.lib.program import run

    run("benchmarks.lib.command")
