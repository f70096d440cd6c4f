"""Errors of the agent, named by cause."""

from __future__ import annotations


class AgentError(Exception):
    """Root of all errors of the agent package."""


class ConfigError(AgentError):
    """A configuration file, environment variable or flag cannot be used."""


class ImageError(AgentError):
    """An image cannot be read: missing, damaged, too large or not an image."""


class NotAnImageError(ImageError):
    """Its bytes are of no format that is read here."""


class TooManyPixelsError(ImageError):
    """Decoding or scaling it would take more memory than a small box has."""


class GoldenError(AgentError):
    """The golden vectors of a bundle are missing or not usable."""


class EvalsetError(AgentError):
    """The evaluation set of a bundle set cannot be used."""


class NetworkError(AgentError):
    """A network cannot be loaded or run on this box."""


class UnsupportedNetworkError(NetworkError):
    """This box, or its torch, lacks what the network needs."""


class JournalError(AgentError):
    """The agent's database cannot be opened, read or written."""


class JournalFullError(JournalError):
    """The disk, or the space given to the agent's database, is full."""


class JournalBrokenError(JournalError):
    """The agent's database is damaged or gone; only a new start of the agent helps."""


class LinkError(AgentError):
    """The broker cannot be reached or refused the connection."""


class ServeError(AgentError):
    """The server cannot start as it was asked to."""


class WorkerError(AgentError):
    """A serving worker did not start, died, or gave no answer in time."""


class StoppedError(AgentError):
    """The agent was asked to stop while it worked."""
