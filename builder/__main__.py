"""Entry point of `edgewright-builder`."""

from __future__ import annotations

from contract.launch import launch


def main() -> None:
    """Run the command line, or name the extra that is missing."""
    launch("builder.cli", extra="builder")


if __name__ == "__main__":
    main()
