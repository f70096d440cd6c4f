"""Carries out the steps; where one fails, the agent that ran before runs on or again."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from shlex import quote

from contract.messages import Inventory
from fleet.authority.credentials import Credentials
from fleet.deploy.announcement import Ear
from fleet.deploy.failure_reason import FULL_DISK
from fleet.deploy.keeper import is_running_script, log_mark, log_script
from fleet.deploy.plan import Wanted, back_script
from fleet.deploy.release import WANTS_GPU
from fleet.deploy.ssh import Ssh
from fleet.deploy.steps import Await, Enroll, Run, Ship, Stage, Step, Write
from fleet.deploy.survey import Survey
from fleet.deploy.transfer import ship
from fleet.errors import DeployError, DeployInterruptedError, FleetError, RemoteError

_MB = 1_000_000
_BACK_PATIENCE_S = 60.0
#: Column of `df -Pk` with what is free, and where a disk is as good as full.
_FREE, _FULL_KIB = 3, 4096


class Listener:
    """Is told how a deploy goes on; a subclass shows it."""

    def begin(self, number: int, total: int, step: Step) -> None:
        """Step `number` of `total` begins."""

    def sent(self, count: int) -> None:
        """So many bytes of the present step went out."""

    def waiting(self, seconds: float) -> None:
        """The present step has run for so long on the box."""

    def end(self, detail: str) -> None:
        """The present step is done."""


class Deployment:
    """One box on its way from what is there to what is wanted.

    Args:
        ssh: an open connection to it.
        wanted: what shall be there.
        there: what is.
        ear: listens to the device.
        enroll: makes the device's credentials.
        accept: lets it in with them, once they are there.
        timeout_s: how long to wait for an announcement.
        listener: is told how it goes on.
        keep_failed: leave a release that failed on the box, to look at.
    """

    def __init__(
        self,
        ssh: Ssh,
        wanted: Wanted,
        there: Survey,
        *,
        ear: Ear,
        enroll: Callable[[], Credentials],
        accept: Callable[[Credentials], None],
        timeout_s: float,
        listener: Listener,
        keep_failed: bool = False,
    ) -> None:
        self._ssh = ssh
        self._wanted = wanted
        self._there = there
        self._ear = ear
        self._enroll = enroll
        self._accept = accept
        self._timeout_s = timeout_s
        self._listener = listener
        self._keep_failed = keep_failed
        self._log_mark = ""
        self._boot_before: str | None = None
        self._inventory: Inventory | None = None
        #: Whether anything was changed so far, beyond looking.
        self.has_changed = False
        #: Remarks of the box for the person who deploys.
        self.notes: list[str] = []

    def perform(self, steps: Sequence[Step]) -> Inventory | None:
        """Do all steps; returns what the device says it is.

        Raises:
            DeployInterruptedError: somebody wished to end.
            DeployError: a step failed. The message says which and why, and what runs now.
        """
        for number, step in enumerate(steps, start=1):
            self._listener.begin(number, len(steps), step)
            self._ssh.doing = step.title
            try:
                detail = self._do(step)
            except FleetError as error:
                where = f"step {number} of {len(steps)}, {step.title}"
                with self._ssh.interrupt.held_off():
                    message = f"{where}: {self._after(error, step)}"
                is_wish = isinstance(error, DeployInterruptedError)
                kind = DeployInterruptedError if is_wish else DeployError
                raise kind(message) from error
            self._listener.end(detail)
        return self._inventory

    def _do(self, step: Step) -> str:
        # Folders are made, and what is old removed, each time.
        self.has_changed |= isinstance(step, Write | Enroll) or step.stage is Stage.SWITCH
        match step:
            case Run():
                if step.stage is Stage.SWITCH:
                    self._ear.hear(0.0)
                    self._boot_before = self._ear.boot_id
                said = self._ssh.run(
                    step.script,
                    as_root=step.as_root,
                    # Half of it would leave a box without an agent.
                    finish=step.stage is Stage.SWITCH,
                    on_wait=self._listener.waiting,
                ).strip()
                self._log_mark = log_mark(said) or self._log_mark
                lines = said.splitlines()
                self.notes += [one for one in lines if one.startswith("note: ")]
                return "; ".join(lines) if step.is_told else ""
            case Ship():
                done = ship(
                    self._ssh, step.shipment, as_root=step.as_root, on_sent=self._listener.sent
                )
                self.has_changed |= done.sent_bytes > 0
                return f"sent {done.sent_bytes / _MB:.1f} of {done.total_bytes / _MB:.1f} MB"
            case Write():
                content = io.BytesIO(step.text.encode())
                self._ssh.send(step.command, content, as_root=step.as_root)
                return ""
            case Enroll():
                credentials = self._enroll()
                secret = io.BytesIO(f"{credentials.password}\n".encode())
                self._ssh.send(step.command, secret, as_root=step.as_root)
                self._accept(credentials)
                return credentials.username
            case Await():
                return self._await(step)

    def _await(self, step: Await) -> str:
        if step.stage is Stage.TIDY:
            if not self._ear.await_online(timeout_s=self._timeout_s):
                message = "the agent runs, but the device is not online at the broker"
                raise DeployError(message)
            self._inventory = self._ear.inventory
            return "it runs on"
        self._inventory = self._ear.await_boot(
            other_than=self._boot_before, timeout_s=self._timeout_s
        )
        if self._inventory is None:
            message = f"the device did not announce itself within {self._timeout_s:g} s"
            raise DeployError(message)
        told = self._inventory
        return f"{told.site}/{told.device} is online: {told.cpu_model}, torch {told.torch}"

    def _after(self, error: BaseException, step: Step) -> str:
        """Why a step failed and what runs now, having brought back what can be."""
        why = _why(error)
        if isinstance(error, RemoteError) and FULL_DISK not in why and self._is_disk_full():
            # Some tools, such as venv, keep the error of the system to themselves.
            why += f"; {FULL_DISK}"
        if step.stage is Stage.TIDY:
            return f"{why}. Release {self._wanted.release.name} runs"
        if step.stage is Stage.PREPARE:
            self._discard()
            return f"{why}. {self._untouched()}"
        try:
            said = "" if isinstance(error, DeployInterruptedError) else self._last_words(error)
            if said:
                why += f". Its last words:\n{said}\n"
            return f"{why}. {self._go_back()}".replace("\n. ", "\n")
        except FleetError as second:
            return f"{why}. Going back failed as well: {second}"

    def _is_disk_full(self) -> bool:
        layout = self._wanted.layout
        with contextlib.suppress(FleetError):
            said = self._ssh.run(f"df -Pk {quote(str(layout.app))} {quote(str(layout.data))}")
            free = [
                line.split()[_FREE] for line in said.splitlines()[1:] if len(line.split()) > _FREE
            ]
            return any(one.isdecimal() and int(one) < _FULL_KIB for one in free)
        return False

    def _last_words(self, error: BaseException) -> str:
        """What the agent said since it was started, and nothing of the one before."""
        mark = log_mark(error.output) if isinstance(error, RemoteError) else self._log_mark
        log = log_script(self._wanted.layout, mark=mark)
        return self._ssh.run(log, as_root=self._wanted.as_root).strip()

    def _discard(self) -> None:
        """Remove a release that was not proven; where that fails too, the next deploy does."""
        if not self._keep_failed:
            with contextlib.suppress(FleetError):
                script = self._wanted.release.discard_script(self._wanted.layout)
                self._ssh.run(script, as_root=self._wanted.as_root)

    def _untouched(self) -> str:
        if self._there.release is None:
            return "No agent was started. Run the same command again: what arrived is kept"
        if not self._there.is_running:
            return f"Release {self._there.release} stays in place; it did not run before"
        return f"The old agent ({self._there.release}) runs on, untouched"

    def _go_back(self) -> str:
        layout, old = self._wanted.layout, self._there.release
        self._ear.hear(0.0)
        failed = self._ear.boot_id
        as_root = self._wanted.as_root
        ran = "yes" in self._ssh.run(is_running_script(layout), as_root=as_root)
        self._ssh.run(back_script(layout, self._there), as_root=as_root, finish=True)
        # One that runs and was not heard may well be sound, and its way to the broker is not.
        name = self._wanted.release.name
        if not ran and name != old and not self._keep_failed:
            self._ssh.run(f"rm -rf {quote(str(layout.release(name)))}", as_root=as_root)
        if old is None:
            return "It was stopped; its settings and its log are left to look at"
        if not self._there.is_running:
            return f"Release {old} is in place again; it did not run before"
        back = self._ear.await_boot(other_than=failed, timeout_s=_BACK_PATIENCE_S)
        if back is not None:
            return f"The old agent ({old}) was started again and is online"
        if "yes" in self._ssh.run(is_running_script(layout), as_root=as_root):
            return f"The old agent ({old}) was started again; it has not announced itself yet"
        return f"The old agent ({old}) was put back, but it does not run: look at its log"


def _why(error: BaseException) -> str:
    if isinstance(error, RemoteError) and error.code == WANTS_GPU:
        return (
            "pip on the box would fetch a CUDA build of torch with gigabytes of GPU packages. "
            "Name the index of CPU builds with --torch-index (pytorch.org, 'Get started', compute "
            "platform CPU), or bring the wheels with --wheelhouse"
        )
    return str(error).rstrip(".")
