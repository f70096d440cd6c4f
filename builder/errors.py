"""Errors of the builder, named by cause."""

from __future__ import annotations


class BuilderError(Exception):
    """Root of all errors of the builder package."""


class UsageError(BuilderError):
    """What was asked for cannot be meant: the call has to change, not the machine."""


class ArchitectureError(UsageError):
    """A network is not known, cannot be imported, or is not an image classifier."""


class InputSizeError(ArchitectureError):
    """A network cannot take an input of this size."""


class InputRuleError(UsageError):
    """The way that images are to become input does not suit the weights."""


class DataError(UsageError):
    """A data folder has the wrong shape, no usable images, or other classes."""


class RecipeError(UsageError):
    """A recipe cannot be found or read, or asks for what makes no sense."""


class WeightsError(UsageError):
    """A weights file cannot be read or does not fit the network."""


class DownloadError(BuilderError):
    """Published weights or a data set cannot be fetched from here."""


class UnsupportedError(BuilderError):
    """This network cannot have this variant; nothing is wrong with the others."""


class NothingToPruneError(UnsupportedError):
    """No filter may go; the network is as it was."""


class BusyError(BuilderError):
    """Another process works on the same thing; it has to end first."""


class TuningError(BuilderError):
    """Training cannot start or went astray."""


class ExportError(BuilderError):
    """A bundle cannot be written, or the file does not answer as the network does."""


def first_line(error: BaseException) -> str:
    """First line of what a foreign error says; its type where it says nothing."""
    return str(error).partition("\n")[0] or type(error).__name__


def plain_words(error: Exception) -> str:
    """What an error says, the system's own without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def typed_line(error: BaseException) -> str:
    """Type and first line of a foreign error, whose words alone may mean little."""
    line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
