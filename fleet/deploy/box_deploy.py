"""One box from the order to the outcome: look, prepare, lock, carry out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from fleet.authority.authority import Authority, fleet_access
from fleet.deploy.announcement import listening
from fleet.deploy.credentials import accept, credentials_for
from fleet.deploy.deployment import Deployment, Listener
from fleet.deploy.local_files import LocalFiles
from fleet.deploy.lock import locked
from fleet.deploy.order import Order
from fleet.deploy.plan import plan
from fleet.deploy.preparation import Prepared, check_order, find_place, has_changed, prepare
from fleet.deploy.removal import carry_out, kept_paths, look_for_remains, removal
from fleet.deploy.ssh import Ssh
from fleet.deploy.steps import Step
from fleet.deploy.telling import DryStep, Outcome, Removed, dry_steps, facts_lines
from fleet.errors import DeployError, DeployInterruptedError, OrderError

_BROKER_PATIENCE_S = 15.0


class Identities:
    """Which box goes by which name in one run: two with one name would be taken for a clone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._targets: dict[tuple[str, str], str] = {}

    def claim(self, target: str, site: str, device: str) -> None:
        """Note that a box goes by this name.

        Raises:
            OrderError: another one does.
        """
        with self._lock:
            other = self._targets.setdefault((site, device), target)
        if other != target:
            message = (
                f"{site}/{device}: {other} goes by that name already; give each box a device of "
                "its own"
            )
            raise OrderError(message)


class BoxDeploy(msgspec.Struct, frozen=True, kw_only=True):
    """What several boxes of one run share."""

    files: LocalFiles
    identities: Identities
    #: Is told facts about a box before anything is changed there.
    tell: Callable[[str], None]

    def check(self, order: Order) -> None:
        """Find what is wrong with an order before anybody connects.

        Raises:
            FleetError, ContractError: an option or a file of this machine is.
        """
        check_order(order, self.files)

    def perform(self, ssh: Ssh, order: Order, listener: Listener) -> Outcome:
        """Bring one box to what is ordered.

        Raises:
            DeployInterruptedError: somebody wished to end.
            FleetError: it failed; the message says where and why, and what runs now.
        """
        found, steps = self._planned(ssh, order)
        return _performed(ssh, order, found, steps, listener)

    def dry_run(self, ssh: Ssh, order: Order) -> tuple[Prepared, list[Step]]:
        """The box as it was found, and the steps that `perform` would take; changes nothing.

        Raises:
            FleetError: something speaks against them.
        """
        return self._planned(ssh, order)

    def _planned(self, ssh: Ssh, order: Order) -> tuple[Prepared, list[Step]]:
        try:
            found = prepare(ssh, order, self.files, now=time.time())
        except DeployInterruptedError as error:
            message = "interrupted, before anything was changed on the box"
            raise DeployInterruptedError(message) from error
        self.identities.claim(order.target, found.site, found.device)
        for line in facts_lines(order, found):
            self.tell(line)
        return found, plan(found.wanted, found.there)

    def remove(self, ssh: Ssh, order: Order, listener: Listener) -> Removed | list[DryStep]:
        """Take the agent off one box, or with `dry_run` say how.

        Raises:
            DeployInterruptedError: somebody wished to end.
            FleetError: it failed; the message says where and why.
        """
        place = find_place(ssh, order, is_removal=True)
        layout, as_root = place.layout, place.as_root
        remains = look_for_remains(ssh, layout, as_root=as_root)
        there = remains.release or ("parts of an agent" if remains.paths else "nothing")
        self.tell(f"{order.target}: below {layout.app}; there now: {there}")
        steps = removal(layout, remains, purge=order.purge, as_root=as_root)
        if order.dry_run:
            return dry_steps(steps)
        notes: list[str] = []
        if steps:
            with locked(ssh, layout, place.python, as_root=as_root):
                notes = carry_out(ssh, steps, listener)
        kept = [] if order.purge else kept_paths(layout, remains)
        return Removed(
            target=order.target,
            release=remains.release,
            kept=[str(one) for one in kept],
            steps=[one.title for one in steps],
            notes=notes,
        )


def _performed(
    ssh: Ssh, order: Order, found: Prepared, steps: list[Step], listener: Listener
) -> Outcome:
    layout, there = found.wanted.layout, found.there
    if found.broker.tls and order.broker is not None:
        # Its certificate has to name what the device calls it.
        Authority.existing(order.authority).add_names([found.broker.host])
    ear = listening(
        found.broker_here,
        access=fleet_access(found.broker_here, order.authority),
        site=found.site,
        device=found.device,
        timeout_s=_BROKER_PATIENCE_S,
        interrupt=ssh.interrupt,
    )
    lock = locked(ssh, layout, found.python, as_root=found.wanted.as_root)
    with ear as hearing, lock:
        if has_changed(ssh, found):
            message = f"{order.target}: another deploy changed the box just now; look, then again"
            raise DeployError(message)
        deployment = Deployment(
            ssh,
            found.wanted,
            there,
            ear=hearing,
            enroll=lambda: credentials_for(order, found.site, found.device),
            accept=lambda credentials: accept(order, credentials),
            timeout_s=order.timeout_s,
            listener=listener,
            keep_failed=order.keep_failed,
        )
        inventory = deployment.perform(steps)
    bundles = found.wanted.bundles
    return Outcome(
        site=found.site,
        device=found.device,
        target=order.target,
        release=found.wanted.release.name,
        previous_release=there.release,
        keeper=layout.keeper.value,
        torch=inventory.torch if inventory is not None else None,
        bundle_set=bundles.name if bundles is not None else there.set_name,
        broker=str(found.broker),
        notes=[*found.remarks, *deployment.notes],
        changed=deployment.has_changed,
    )
