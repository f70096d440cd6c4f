"""The agent on an emulated 64-bit ARM core: install, prove, measure, predict, deliver.

Started by `scripts/arm64-smoke`, which makes the root and calls this in a mount namespace where
/proc, /sys and the folder `work` are mounted below it. What runs inside the root is the
project's wheel as any device gets it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from arm64_packages import platform_options, requirements
from arm64_report import (
    Row,
    numerics_table,
    runs_table,
    wrong_delivery,
    wrong_numerics,
    wrong_runs,
)
from digits import write_digits
from programs import console, ended, fail, fleet, free_broker_url, program, run, show
from rich.markup import escape

from fleet.torchpin import BoxPython, torch_pin

ROOT = Path(__file__).resolve().parents[2]
RECIPE = Path("scripts/lib/arm64-recipe.toml")
ARCHITECTURE, INPUT_SIZE, EPOCHS = "resnet18", 32, 2
ENGINES = ("x86", "qnnpack")
SITE, DEVICE = "smoke", "arm64"
#: Emulation is slow, and its speed is nobody's figure: just enough to have measured.
EFFORT = {"min_seconds": 0.2, "min_runs": 3, "timeout_s": 600}


class Smoke:
    """One run in its folder: `root`, an ARM system, and `work`, which that sees as `/mnt`."""

    def __init__(self, folder: Path, *, python: str, torch: str, cpu: str) -> None:
        self._root = folder / "root"
        self._work = folder / "work"
        self._wheels = folder / "wheels"
        self._database = f"sqlite:///{folder / 'fleet.db'}"
        self._python = python
        self._torch = torch
        self._cpu = cpu
        self._broker = free_broker_url()

    def run(self) -> list[str]:
        """Walk the whole way once; what failed, one sentence each."""
        with _step(f"2. torch {self._torch} for aarch64, the agent's packages, the wheel"):
            self._install()
        with _step("3. Bundles, built here on x86"):
            self._build()
        with _step(f"4. What the agent finds on an emulated {self._cpu}"):
            self._probe()
        with _step("5. Golden vectors of every bundle on every engine"):
            numerics = self._prove()
        with _step("6. Bench: every variant in a process of its own"):
            benched = self._bench()
        with _step("7. Predict"):
            self._predict()
        with _step("8. Measured, and delivered to a fleet on the loopback"), self._collecting():
            self._deliver()
            stored = self._stored()
        return [
            *wrong_numerics(numerics),
            *wrong_runs(benched, "bench"),
            *wrong_runs(stored["runs"], "fleet"),
            *wrong_delivery(stored, expected=len(self._members())),
        ]

    def _install(self) -> None:
        packages = self._root / "opt/packages"
        wanted = requirements(self._torch)
        done = self._root / "opt/packages.txt"
        if done.exists() and done.read_text().splitlines() == wanted:
            console.print(f"   installed before: {len(wanted)} packages")
        else:
            shutil.rmtree(packages, ignore_errors=True)
            _pip(
                "install",
                "--no-deps",
                "--target",
                packages,
                *platform_options(self._python),
                *wanted,
            )
            done.write_text("\n".join(wanted) + "\n")
            console.print(f"   {', '.join(wanted)}")
        shutil.rmtree(self._wheels, ignore_errors=True)
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", self._wheels, ".")
        (wheel,) = self._wheels.glob("*.whl")
        agent = self._root / "opt/agent"
        shutil.rmtree(agent, ignore_errors=True)
        _pip("install", "--no-deps", "--target", agent, *platform_options(self._python), wheel)
        console.print(f"   {wheel.name}")

    def _build(self) -> None:
        data, weights = self._work / "digits", self._work / "weights.pt"
        write_digits(data)
        if not weights.exists():
            run(
                "edgewright-builder", "train", ARCHITECTURE, "--data", data, "--epochs", EPOCHS,
                "--input-size", INPUT_SIZE, "--out", weights,
            )  # fmt: skip
        engines = [word for engine in ENGINES for word in ("--engine", engine)]
        run(
            "edgewright-builder", "build", ARCHITECTURE, "--data", data, "--weights", weights,
            "--input-size", INPUT_SIZE, "--recipe", RECIPE, *engines, "--no-report",
            "--out", self._work / "bundles",
        )  # fmt: skip

    def _members(self) -> list[str]:
        return sorted(path.stem for path in (self._work / "bundles").glob("*.pt"))

    def _probe(self) -> None:
        facts = json.loads(self._agent("probe", "--json"))
        python = self._inside("/usr/bin/python3", "-c", "import platform as p; print(p.machine())")
        console.print(f"   {facts['os']}, {python.strip()}")
        console.print(
            "   [dim]/proc and /sys are the host's: the emulator has none of its own, so the "
            f"model stands there as {facts['cpu']['model']}[/dim]"
        )

    def _prove(self) -> list[Row]:
        shutil.copy(ROOT / "scripts/lib/arm64_numerics.py", self._work)
        lines = self._inside("/usr/bin/python3", "/mnt/arm64_numerics.py", "/mnt/bundles")
        rows = [json.loads(line) for line in lines.splitlines()]
        console.print(numerics_table(rows))
        return rows

    def _bench(self) -> list[Row]:
        """Base and one more; all variants are measured before they are delivered."""
        runs: list[Row] = json.loads(
            self._agent(
                "bench", "/mnt/bundles", "--variant", f"{ARCHITECTURE}-dq8", "--json",
                "--min-seconds", EFFORT["min_seconds"], "--min-runs", EFFORT["min_runs"],
                "--timeout-s", EFFORT["timeout_s"],
            )
        )  # fmt: skip
        console.print(runs_table(runs))
        return runs

    def _predict(self) -> None:
        image = min((self._work / "digits/val/7").glob("*.png")).relative_to(self._work)
        (answer,) = json.loads(
            self._agent(
                "predict", Path("/mnt") / image, "--bundles", "/mnt/bundles", "--json",
                "--variant", f"{ARCHITECTURE}-sq8",
            )
        )  # fmt: skip
        for opinion in answer["opinions"]:
            best = opinion["top"][0]
            console.print(
                f"   a 7, {opinion['variant']}: {best['label']} ({best['probability']:.1%})"
            )

    def _deliver(self) -> None:
        config = self._work / "agent.toml"
        lines = [
            f'site = "{SITE}"',
            f'device = "{DEVICE}"',
            f'emulates = "{self._cpu} under user-mode emulation; times say nothing about a board"',
            f'broker = "{self._broker}"',
            'bundles = "bundles"',
            'state_dir = "state"',
            *(f"{key} = {value}" for key, value in EFFORT.items()),
        ]
        config.write_text("\n".join(lines) + "\n")
        # A new box each time: an outbox of an earlier run would have nothing left to deliver.
        shutil.rmtree(self._work / "state", ignore_errors=True)
        words = ("run", "--once", "--config", "/mnt/agent.toml")
        show("edgewright-agent", *words)
        command = self._command("/usr/bin/python3", "-m", "agent", *words)
        log = self._work / "agent.log"
        # By lines, so that whoever waits can read along.
        with log.open("w", buffering=1) as log_file:
            agent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            with ended(agent):
                for line in agent.stderr or ():
                    log_file.write(line)
                    variant = _stored_variant(line)
                    if variant:
                        console.print(f"   in the outbox: {variant}")
                agent.wait()
        if agent.returncode != 0:
            fail(f"the agent ended with exit code {agent.returncode}:\n{log.read_text()}")

    def _stored(self) -> Row:
        def ask(*words: str) -> list[Row]:
            command = [program("edgewright-fleet"), *words, "--db", self._database, "--json"]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            rows: list[Row] = json.loads(done.stdout)
            return rows

        (device,) = ask("devices")
        runs = ask("results", f"{SITE}/{DEVICE}")
        inventory = device["inventory"]
        console.print(
            f"   stored by the fleet: {len(runs)} runs of {SITE}/{DEVICE} ({inventory['arch']}, "
            f"torch {inventory['torch']}, engines {', '.join(inventory['engines'])}), "
            f"{device['missing']} missing, {device['quarantined']} refused"
        )
        console.print(f"   it emulates: {inventory['emulates']}")
        console.print(runs_table(runs))
        return {"device": device, "runs": runs}

    def _collecting(self) -> AbstractContextManager[None]:
        """A fleet that knows nothing yet."""
        for file in self._work.parent.glob("fleet.db*"):
            file.unlink()
        return fleet(self._broker, self._database, self._work / "fleet.log")

    def _agent(self, *words: object) -> str:
        show("edgewright-agent", *words)
        return self._inside("/usr/bin/python3", "-m", "agent", *words)

    def _inside(self, *words: object) -> str:
        """What a command prints inside the root."""
        done = subprocess.run(self._command(*words), check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            fail(f"inside the root, exit code {done.returncode}: {done.stdout}")
        return done.stdout

    def _command(self, *words: object) -> list[str]:
        settings = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/tmp",  # noqa: S108 - that of the root
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": "/opt/agent:/opt/packages",
            "TERM": os.environ.get("TERM", "dumb"),
            "QEMU_CPU": self._cpu,
        }
        pairs = [f"{key}={value}" for key, value in settings.items()]
        return ["chroot", str(self._root), "/usr/bin/env", "-i", *pairs, *map(str, words)]


def _stored_variant(line: str) -> str | None:
    """Variant whose run a line of the agent's log says to be in the outbox."""
    words = dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)
    return words.get("variant") if words.get("event") == "run_stored" else None


@contextlib.contextmanager
def _step(title: str) -> Iterator[None]:
    started = time.monotonic()
    console.print(f"\n[bold cyan]{title}[/bold cyan]")
    yield
    console.print(f"   [dim]{time.monotonic() - started:.0f} s[/dim]")


def _pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", *map(str, words), "--disable-pip-version-check"]
    done = subprocess.run([*command, "--quiet"], check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail(f"pip {words[0]} failed:\n{done.stderr}")


def main() -> None:
    """Parse what the shell part hands over, and run."""
    parser = argparse.ArgumentParser(prog="scripts/arm64-smoke", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--python", required=True, help="version of Python in the root")
    parser.add_argument("--since", type=float, required=True, help="when the shell part began")
    parser.add_argument("--torch")
    parser.add_argument("--cpu", default="cortex-a72")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Beside other work on this machine, threads of OpenMP would wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.chdir(ROOT)
    major, minor = map(int, options.python.split("."))
    board = BoxPython(
        machine="aarch64", pointer_bits=64, version=(major, minor), glibc=(2, 36)
    )  # fmt: skip
    torch = options.torch or torch_pin(board).version
    failed = Smoke(options.folder, python=options.python, torch=torch, cpu=options.cpu).run()
    for sentence in failed:
        console.print(escape(sentence), style="bold red")
    verdict = "failed" if failed else "all is well"
    seconds = time.time() - options.since
    console.print(
        f"\n[bold]Emulated {options.cpu}: {verdict}, in {seconds:.0f} s.[/bold] "
        "These times, like all under emulation, say nothing about a board."
    )
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
