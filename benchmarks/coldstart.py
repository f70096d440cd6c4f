"""How few measurements find the best variant of a new device, from those of devices like it.

python benchmarks/coldstart.py --quick
"""

from __future__ import annotations

import sys
from pathlib import Path

# Python would look for packages beside this file only.
sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    from benchmarks.lib.program import run

    run("benchmarks.lib.coldstart_command")
