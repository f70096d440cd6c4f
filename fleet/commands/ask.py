"""The command `edgewright-fleet ask`."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import click

from contract.address import parse_broker_url
from contract.exits import Exit
from contract.question import MAX_DEADLINE_S, MAX_IMAGE_BYTES, Answer, AnswerStatus, Request
from contract.topics import parse_name
from fleet.authority.authority import fleet_access
from fleet.commands.numbers import FiniteRange
from fleet.commands.options import authority_option, broker_option, db_option, json_option
from fleet.commands.printing import complain, print_json, print_lines
from fleet.mqtt.asking import ask
from fleet.store.database import open_database
from fleet.store.roster import find_device, list_devices


@click.command("ask")
@click.argument("device_name", metavar="DEVICE")
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    help="Ask this one; repeat it for several.  [default: the device's active variant]",
)
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option(
    "--top", type=click.IntRange(1, 100), default=3, show_default=True, help="Classes to name."
)
@click.option(
    "--deadline-s",
    type=FiniteRange(0, MAX_DEADLINE_S, min_open=True),
    default=60.0,
    show_default=True,
    help="What is not answered by then is given up, by the device as well.",
)
@broker_option
@authority_option
@db_option
@json_option
def ask_command(
    device_name: str,
    image: Path,
    *,
    variants: tuple[str, ...],
    threads: int,
    top: int,
    deadline_s: float,
    broker_url: str,
    authority_folder: Path,
    store_url: str,
    as_json: bool,
) -> None:
    """Run IMAGE through variants on DEVICE itself, and print what each of them says.

    DEVICE is 'site/device', or 'device' where the store knows only one of that name. One line a
    variant, as it is ready. The device asks each variant in a fresh process, between two
    measurements; where that would come too late, it refuses and says why.

    Exit codes: 0 every variant answered; 1 one did not, or the device is silent; 2 wrong use.
    """
    address = parse_broker_url(broker_url)
    site, device = _device(device_name, store_url)
    request = Request(
        site=site,
        device=device,
        at=time.time(),
        id=uuid.uuid4().hex,
        deadline_s=deadline_s,
        image=_content(image),
        variants=list(variants),
        threads=threads,
        top_k=top,
    )
    answers: list[Answer] = []
    access = fleet_access(address, authority_folder)
    # Not from the request's id, which the device is told.
    client_name = f"edgewright-ask-{uuid.uuid4().hex[:12]}"
    for answer in ask(address, access, request, client_name=client_name):
        answers.append(answer)
        if not as_json:
            print_lines([_line(answer)])
    if as_json:
        print_json(answers)
    silence = _silence(f"{site}/{device}", answers, deadline_s)
    if silence is not None:
        complain(silence)
    is_well = all(answer.status is AnswerStatus.ANSWERED for answer in answers)
    raise SystemExit(int(Exit.DONE if is_well and silence is None else Exit.FAILED))


def _device(name: str, store_url: str) -> tuple[str, str]:
    """Site and device; the store is asked only where the site is not given."""
    if "/" in name:
        return parse_name(name)
    database = open_database(store_url, create=False)
    with database.reading() as connection:
        found = find_device(list_devices(connection), name)
    return found.site, found.device


def _content(image: Path) -> bytes:
    size = image.stat().st_size
    if not 0 < size <= MAX_IMAGE_BYTES:
        message = (
            f"{image} has {size:,} bytes: expected 1 to {MAX_IMAGE_BYTES:,}, for it travels in one "
            "message. Save it smaller first, such as by 'magick IMAGE -resize 800x800 small.jpg'"
        )
        raise click.BadParameter(message, param_hint="IMAGE")
    return image.read_bytes()


def _silence(name: str, answers: list[Answer], deadline_s: float) -> str | None:
    """What did not come, or None."""
    if not answers:
        return (
            f"{name} gave no answer within {deadline_s:g} s; is it online? "
            "'edgewright-fleet devices' tells"
        )
    missing = answers[0].of - len(answers)
    if missing == 0:
        return None
    return f"{name}: {missing} of {answers[0].of} answers did not come within {deadline_s:g} s"


def _line(answer: Answer) -> str:
    head = f"{answer.number}/{answer.of} {answer.variant or 'all'}"
    if answer.status is not AnswerStatus.ANSWERED:
        return f"{head}: {answer.status.value}: {answer.reason}"
    labels = ", ".join(f"{guess.label} {guess.probability:.1%}" for guess in answer.top)
    times = [
        f"{name} {value:.1f} ms"
        for name, value in (("inference", answer.inference_ms), ("load", answer.load_ms))
        if value is not None
    ]
    return f"{head}: {labels} ({', '.join(times)})"
