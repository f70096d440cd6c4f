"""Errors that name their cause: what was expected, what came, and what to do."""

from __future__ import annotations


class ContractError(Exception):
    """Root of all errors of the contract package."""


class BundleError(ContractError):
    """A bundle or a bundle set cannot be used."""


class BundleDamagedError(BundleError):
    """A file is truncated, edited, missing, or not a bundle at all."""


class NewerSchemaError(BundleError):
    """A document was written by a later Edgewright than this one."""

    def __init__(self, what: str, got: int, supported: int) -> None:
        super().__init__(
            f"{what}: schema {got} is newer than the schema {supported} that this "
            "Edgewright reads; upgrade Edgewright here, or rebuild with the older builder",
        )
        self.got = got
        self.supported = supported


class TopicError(ContractError):
    """A topic or one of its identifiers does not follow the wire contract."""


class GroupError(ContractError):
    """A group's name is not as the contract has it."""


class BrokerUrlError(ContractError):
    """A broker's URL is not of the form that is expected."""


class AccessError(ContractError):
    """A file that is needed to connect to a broker cannot be used."""


class MessageError(ContractError):
    """A payload is not a valid message of its leaf."""
