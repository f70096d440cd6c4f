"""Entry point of `edgewright-agent`."""

from __future__ import annotations

from contract.launch import launch


def main() -> None:
    """Run the command line, or name the extra that is missing."""
    launch("agent.cli", extra="agent")


if __name__ == "__main__":
    main()
