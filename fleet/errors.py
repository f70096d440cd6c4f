"""Errors that the fleet's commands report in one line, named by cause."""

from __future__ import annotations


class FleetError(Exception):
    """Root of all errors of the fleet package."""


class AddressError(FleetError):
    """A listen address or store URL is malformed or not permitted."""


class PortInUseError(FleetError):
    """The embedded broker cannot listen: somebody else holds the port."""


class BrokerAwayError(FleetError):
    """The broker cannot be reached or refuses us."""


class BrokerRefusedError(BrokerAwayError):
    """The broker is there and does not let this account in."""


class NoCallerError(FleetError):
    """Whoever connected to the embedded broker does not speak MQTT as one should."""


class StoreError(FleetError):
    """The store cannot be opened or is not one of ours."""


class StoreMissingError(StoreError):
    """There is no store where one is expected."""


class StoreBusyError(StoreError):
    """Another collector works on the same store."""


class StoreUnavailableError(StoreError):
    """The store cannot take data at the moment: disk full, locked, or unreadable.

    Nothing of the failed transaction was kept; the same work can be tried again.
    """


class StoreFailedError(StoreUnavailableError):
    """The store failed for a reason of which nobody knows whether it passes, or which row has it.

    Nothing of the failed transaction was kept.
    """


class StoreDamagedError(StoreError):
    """The store is damaged or gone, and stays so: trying again does not help, a backup does."""


class StoreExistsError(StoreError):
    """There is a store already where another one is to be made."""


class ArchiveError(FleetError):
    """A backup cannot be written or read, is damaged, or was made by a later Edgewright."""


class RowRefusedError(StoreError):
    """One value cannot be represented in the store, and never will be."""


class AuthorityError(FleetError):
    """The folder with certificates and accounts cannot be used."""


class AuthorityMissingError(AuthorityError):
    """There is no such folder where one is expected."""


class MissingExtraError(FleetError):
    """A package is not installed; the message says which extra brings it."""


class PolicyError(FleetError):
    """A policy is malformed; the message names file, place, expected, got and what to do."""


class MalformedTermError(FleetError):
    """A limit or objective is malformed from the `offset`-th character on; None: as a whole."""

    def __init__(self, expected: str, advice: str, offset: int | None = None) -> None:
        super().__init__(f"expected {expected}; {advice}")
        self.expected = expected
        self.advice = advice
        self.offset = offset


class ReplayError(StoreError):
    """A stored decision does not follow from what it rests on."""


class UnknownDecisionError(FleetError):
    """No decision has that number."""


class PlanError(FleetError):
    """What is asked of a simulation makes no sense."""


class UnknownPolicyError(PolicyError):
    """No policy has that name."""


class TokenError(FleetError):
    """A token of the API is there already, or is not."""


class ExportError(FleetError):
    """An export cannot be written."""


class UnknownMessageError(FleetError):
    """No refused message has that number."""


class UnknownDeviceError(FleetError):
    """No device, or more than one, goes by the given name."""


class UnknownVariantError(FleetError):
    """No result is of a variant of the given name."""


class UnsuitableBoxError(FleetError):
    """The agent cannot run on a box; the message says what it would need."""


class DeployError(FleetError):
    """The agent could not be put on a box; the message says where it stopped."""


class OrderError(DeployError):
    """What is asked of a deploy makes no sense."""


class DeployInterruptedError(DeployError):
    """A person ended the deploy, by Ctrl-C or SIGTERM."""


class BoxUnreachableError(DeployError):
    """No connection to a box, or it broke."""


class RemoteError(DeployError):
    """A command on a box failed; the message is what it said last."""

    def __init__(self, said: str, code: int, output: str = "") -> None:
        super().__init__(said)
        self.code = code
        #: All that it printed on standard output.
        self.output = output
