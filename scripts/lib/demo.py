"""The main job, end to end: train, build, measure on three emulated devices, pick per device.

Started by `scripts/demo`, which makes the environment. Every step is one of the three commands,
shown before it runs, so that the same can be done by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from digits import write_digits
from programs import console, ended, fail, fleet, free_broker_url, program, run
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from contract.bundleset import read_set

ROOT = Path(__file__).resolve().parents[2]
POLICY = Path("scripts/lib/demo-policy.toml")
SITE = "demo"
MEBIBYTE = 1 << 20
UPDATE_TIMEOUT_S = 30


@dataclass(frozen=True)
class Model:
    """One network that the demo trains from scratch."""

    architecture: str
    input_size: int
    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Device:
    """One device class that an agent on this host stands for."""

    name: str
    emulates: str
    threads: int
    memory_limit_mib: int | None


SMALL_MODELS = [Model("resnet18", 32, 6), Model("resnet34", 32, 6)]
# The batch-norm form: plain VGG-19 does not train from scratch in a demo's time. Five halvings
# need 32 px, and the smaller-input variant needs room below that: hence 48.
VGG19 = Model("vgg19_bn", 48, 2, batch_size=32, learning_rate=5e-4)


def devices() -> list[Device]:
    """Three device classes, as far as this host can stand for them."""
    cores = len(os.sched_getaffinity(0))
    return [
        Device("small-board", "a small board: 1 core, 400 MiB for the model", 1, 400),
        Device("mini-pc", "a mini-PC: 1 core, 1 GiB for the model", 1, 1024),
        Device("server", f"a server: {cores} cores, no limit", cores, None),
    ]


class Demo:
    """One run of the demo in its folder; everything finished before is reused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "digits"
        self._bundles = folder / "bundles"
        self._database = f"sqlite:///{folder / 'fleet.db'}"
        self._broker = free_broker_url()

    def run(self, models: list[Model]) -> None:
        """Walk the whole way once."""
        started = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        _heading("1. Real images: 1,797 handwritten digits, 360 of them held out")
        write_digits(self._data)
        console.print(f"   {self._data}")

        _heading("2. Base models, trained here from scratch")
        for model in models:
            self._train(model)

        _heading("3. Variants: pruned, quantized, smaller input; accuracy of the exported file")
        for model in models:
            self._build(model)

        _heading("4. Measured on each device (emulated on this host), delivered to the fleet")
        with fleet(self._broker, self._database, self._folder / "fleet.log"):
            for device in devices():
                self._measure(device)
            _heading("5. What suits each device, and why")
            for device in devices():
                self._fleet_command("explain", f"{SITE}/{device.name}")
            _heading("6. Rolled out: each agent takes its variant and reports back")
            self._roll_out()
        _heading("7. The recommendation")
        self._fleet_command("recommendations")
        console.print(f"\n[bold]Done in {time.monotonic() - started:.0f} s.[/bold]")
        self._say_what_next()

    def _train(self, model: Model) -> None:
        weights = self._weights(model)
        if weights.exists():
            console.print(f"   {model.architecture}: trained before, {weights}")
            return
        run(
            "edgewright-builder", "train", model.architecture,
            "--data", self._data, "--epochs", model.epochs, "--input-size", model.input_size,
            "--batch-size", model.batch_size, "--lr", model.learning_rate, "--out", weights,
        )  # fmt: skip

    def _build(self, model: Model) -> None:
        run(
            "edgewright-builder", "build", model.architecture,
            "--data", self._data, "--weights", self._weights(model),
            "--input-size", model.input_size, "--no-report", "--out", self._bundles,
        )  # fmt: skip

    def _measure(self, device: Device) -> None:
        config = self._write_config(device)
        runs = len(read_set(self._bundles).members)
        log = config.with_suffix(".log")
        columns = (
            TextColumn(f"   {device.name}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.description}"), TimeElapsedColumn(),
        )  # fmt: skip
        command = [program("edgewright-agent"), "run", "--config", str(config), "--once"]
        console.print(f"   [dim]{device.name} stands for {device.emulates}[/dim]")
        with (
            Progress(*columns, console=console) as progress,
            log.open("w") as log_file,
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as agent,
        ):
            task = progress.add_task("", total=runs)
            for line in agent.stderr or ():
                log_file.write(line)
                fields = dict(part.split("=", 1) for part in shlex.split(line) if "=" in part)
                match fields.get("event"):
                    case "sweep_begins":
                        progress.update(task, total=int(fields["turns"]))
                    case "turn_taken":
                        progress.update(task, advance=1, description=fields["variant"])
            progress.update(
                task, total=runs, completed=runs, description="acknowledged by the fleet"
            )
        if agent.returncode != 0:
            fail(f"the agent of {device.name} failed; its log is {log}")

    def _roll_out(self) -> None:
        with ExitStack() as agents:
            for device in devices():
                agents.enter_context(ended(self._start_agent(device)))
            self._fleet_command("apply", "--broker", self._broker)
            self._wait_for_updates()
            self._fleet_command("devices", policy=False)

    def _wait_for_updates(self) -> None:
        """Wait until every device reports its desired variant as active, or says why not."""
        command = [program("edgewright-fleet"), "devices", "--json", "--db", self._database]
        deadline = time.monotonic() + UPDATE_TIMEOUT_S
        while time.monotonic() < deadline:
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            known = json.loads(answer)
            if all(
                device["active_variant"] == device["desired_variant"] or device["phase"] == "failed"
                for device in known
            ):
                return
            time.sleep(0.5)
        console.print("   [yellow]not every agent has answered yet[/yellow]")

    def _start_agent(self, device: Device) -> subprocess.Popen[bytes]:
        config = self._config_path(device)
        with config.with_suffix(".log").open("a") as log:
            return subprocess.Popen(
                [program("edgewright-agent"), "run", "--config", str(config)],
                stderr=log,
            )

    def _fleet_command(self, *arguments: str, policy: bool = True) -> None:
        chosen = ("--policy", POLICY) if policy else ()
        run("edgewright-fleet", *arguments, "--db", self._database, *chosen)

    def _weights(self, model: Model) -> Path:
        return self._folder / f"{model.architecture}-{model.input_size}px.pt"

    def _config_path(self, device: Device) -> Path:
        return self._folder / "agents" / device.name / "agent.toml"

    def _write_config(self, device: Device) -> Path:
        path = self._config_path(device)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            f'site = "{SITE}"',
            f'device = "{device.name}"',
            f'emulates = "{device.emulates}"',
            f'broker = "{self._broker}"',
            # Relative to this file.
            'bundles = "../../bundles"',
            'state_dir = "state"',
            f"threads = [{device.threads}]",
            # Two rounds, the default, tell more and take twice as long.
            "rounds = 1",
            "min_seconds = 0.8",
        ]
        if device.memory_limit_mib:
            lines.append(f"memory_limit_mb = {device.memory_limit_mib * MEBIBYTE / 1e6:.0f}")
        path.write_text("\n".join(lines) + "\n")
        return path

    def _say_what_next(self) -> None:
        bundles = self._bundles
        console.print(
            f"""
What to type next (. .venv/bin/activate first):

  edgewright-builder report {bundles}
  edgewright-agent bench {bundles}
  edgewright-agent predict {self._data}/val/7/*.png --bundles {bundles}
  edgewright-fleet recommendations --db {self._database} --policy fastest
  edgewright-fleet explain demo/small-board --db {self._database}

Your own images (an ImageFolder with train/ and val/) and a network of torchvision's:

  edgewright-builder build resnet18 resnet50 --data YOUR_FOLDER --weights default --out bundles
""",
            highlight=False,
            soft_wrap=True,
        )


def _heading(text: str) -> None:
    console.print(f"\n[bold cyan]{text}[/bold cyan]")


def main() -> None:
    """Parse the options and run the demo."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument(
        "--vgg19",
        action="store_true",
        help="add VGG-19 in its batch-norm form (at most 20 minutes in all)",
    )
    parser.add_argument(
        "--dir", type=Path, default=Path(".demo"), help="where everything is kept (default: .demo)"
    )
    options = parser.parse_args()
    models = [*SMALL_MODELS, VGG19] if options.vgg19 else SMALL_MODELS
    os.chdir(ROOT)
    Demo(options.dir).run(models)


if __name__ == "__main__":
    main()
