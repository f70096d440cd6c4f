"""Every variant of the builder beside ONNX Runtime and OpenVINO, on one core, in one run.

python benchmarks/builder.py --quick
"""

from __future__ import annotations

import sys
from pathlib import Path

# This file is named like the package that it measures, and Python would look here first.
sys.path[0] = str(Path(__file__).resolve().parents[1])


def main() -> None:
    """Run the command line, or say in one line what to install."""
    try:
        from benchmarks.lib.command import command  # noqa: PLC0415 - may lack a package

        command.main(prog_name="benchmarks/builder.py")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "agent", "benchmarks", "builder", "contract"}:
            raise
        sys.stderr.write(
            f"benchmarks/builder.py needs the package '{missing}', which is not installed: "
            "pip install 'edgewright[bench]'\n"
        )
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
