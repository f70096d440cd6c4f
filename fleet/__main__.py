"""Entry point of `edgewright-fleet`."""

from __future__ import annotations

from contract.launch import launch


def main() -> None:
    """Run the command line, or name the extra that is missing."""
    launch("fleet.cli", extra="fleet")


if __name__ == "__main__":
    main()
