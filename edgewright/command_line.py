"""Prints what commands say, as text or JSON, fit for a terminal (needs click)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import click

from edgewright.json_text import json_text
from edgewright.terminal import LINE_CHARACTERS, visible, visible_lines


def print_lines(
    lines: Iterable[str], *, err: bool = False, most: int | None = LINE_CHARACTERS
) -> None:
    """Print each text as one line: a line break in it is a stranger's, and is spelt out.

    Args:
        lines: sentences, with strangers' words in them.
        err: on standard error.
        most: characters of a line; None for lists of our own that may be long.
    """
    for line in lines:
        click.echo(visible(line, most), err=err)


def print_text(text: str) -> None:
    """Print a text of our own that has lines and tabs, such as a configuration."""
    click.echo(visible(text.removesuffix("\n"), kept="\n\t"))


def print_json(document: object, *, indent: int | None = 2) -> None:
    """Print `document` as the one JSON document of this run."""
    click.echo(json_text(document, indent=indent))


def complain(program: str, message: str, *, has_lines: bool = False) -> None:
    """Say on standard error, in the program's name, what is wrong.

    Args:
        program: its name.
        message: a sentence, with strangers' words in it.
        has_lines: the message has several lines by right; all but the first are indented.
    """
    lines = visible_lines(message) if has_lines else [visible(message, LINE_CHARACTERS)]
    click.echo("\n  ".join([f"{program}: {lines[0]}", *lines[1:]]), err=True)


class Program(click.Group):
    """The commands of a program; complaints about how it was called are fit for a terminal."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's own signature
    ) -> click.Context:
        """Read the program's own options."""
        with _visible_complaints():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command that was named."""
        with _visible_complaints():
            return super().invoke(ctx)


@contextlib.contextmanager
def _visible_complaints() -> Iterator[None]:
    """Spell out what an argument brings into the messages of click."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise click.UsageError(_sentence(error), error.ctx) from error
    except click.ClickException as error:
        raise click.ClickException(_sentence(error)) from error


def _sentence(error: click.ClickException) -> str:
    # It names no argument, and lists choices on lines of their own.
    is_list = isinstance(error, click.MissingParameter)
    return visible(error.format_message(), LINE_CHARACTERS, kept="\n\t" if is_list else "")
