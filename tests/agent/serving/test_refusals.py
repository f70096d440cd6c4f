"""What a server answers to what it does not take: always a status, a name and a sentence."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from agent.serving.choice import Chooser
from agent.serving.patience import Limits, Patience
from support.processes import PATIENCE_S
from support.serving import Serving, picture, serving

POST = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
SHORT = b"Content-Length: 5\r\n"


def png_that_says(width: int, height: int) -> bytes:
    """A PNG whose header alone is honest work; there are no pixels behind it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def line_of(pixels: int) -> bytes:
    """A PNG of one row; scaled to a network's height it would be a hundred thousand times it."""
    file = io.BytesIO()
    Image.new("L", (pixels, 1)).save(file, format="PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "empty-body"),
        (b"no image at all", 422, "not-an-image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 422, "not-an-image"),
        (picture()[:1500], 422, "damaged-image"),
        (picture(kind="JPEG")[:400], 422, "damaged-image"),
        (png_that_says(100_000, 100_000), 413, "too-many-pixels"),
        (png_that_says(9_000, 9_000), 413, "too-many-pixels"),
        (line_of(400_000), 413, "too-many-pixels"),
        (b"x" * 200_001, 413, "body-too-large"),
    ],
)
def test_a_bad_image_is_refused_and_the_next_one_answered(
    server: Serving, body: bytes, status: int, error: str
) -> None:
    reply = server.predict(body)
    assert (reply.status, reply.json["error"]) == (status, error)
    assert len(reply.json["message"]) > 10
    assert server.predict(picture()).status == 200


def test_a_bad_type_is_refused_before_the_body_is_sent(server: Serving) -> None:
    """What curl sends without -H; the message says what to type instead."""
    kind = "application/x-www-form-urlencoded"
    reply = server.predict(picture(), kind=kind)
    assert (reply.status, reply.json["error"]) == (415, "unsupported-media-type")
    assert "--data-binary" in reply.json["message"]
    head = POST + b"Content-Type: text/plain\r\nExpect: 100-continue\r\n" + SHORT
    assert server.say(head + b"\r\n").startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize("top", ["0", "-1", "x", "1001", "", "9" * 400, "%D9%A3"])
def test_a_bad_top_is_refused(server: Serving, top: str) -> None:
    reply = server.predict(picture(), f"?top={top}")
    assert (reply.status, reply.json["error"]) == (400, "bad-query")
    assert "1 to 1000" in reply.json["message"]


@pytest.mark.parametrize(
    ("request_bytes", "status", "error"),
    [
        (b"GET /\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad-request"),
        (b"GET / FTP/1.1\r\n\r\n", 400, "bad-request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, "unsupported-version"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n", 400, "bad-request"),
        (b"GET /?" + b"a&" * 50 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: " + b"x" * 5000 + b"\r\n\r\n", 431, "header-too-large"),
        (POST + b"\r\n", 411, "length-required"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "length-required"),
        (POST + b"Transfer-Encoding: chunked\r\n" + SHORT + b"\r\n", 400, "bad-request"),
        (POST + SHORT + b"Content-Length: 6\r\n\r\n", 400, "bad-request"),
        (POST + b"Content-Length: +5\r\n\r\n", 400, "bad-request"),
        (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400, "bad-request"),
        (POST + b"Content-Length: 999999999999\r\n\r\n", 413, "body-too-large"),
        (b"PUT /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + SHORT + b"\r\n12345", 405, None),
    ],
)
def test_a_malformed_request_is_refused_and_its_connection_closed(
    server: Serving, request_bytes: bytes, status: int, error: str | None
) -> None:
    head, _, body = server.say(request_bytes, hang_up=True).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nConnection: close" in head
    assert json.loads(body)["error"] == error or error is None


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/", 404, None),
        ("POST", "/v1/predict/", 404, None),
        ("GET", "/v1/predict", 405, "POST"),
        ("HEAD", "/v1/predict", 405, "POST"),
        ("DELETE", "/v1/health", 405, "GET, HEAD"),
        ("OPTIONS", "/metrics", 405, "GET, HEAD"),
    ],
)
def test_unknown_paths_and_methods_are_told_apart(
    server: Serving, method: str, path: str, status: int, allow: str | None
) -> None:
    reply = server.ask(method, path)
    assert reply.status == status
    assert reply.headers.get("allow") == allow


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        (b"", "request"),
        (b"POST /v1/pre", "header"),
        (POST + b"Content-Length: 5000\r\n\r\n\x89PNG", "body"),
    ],
)
def test_a_client_that_is_too_slow_is_told_so(server: Serving, sent: bytes, what: str) -> None:
    head, _, body = server.say(sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    told = json.loads(body)
    assert told["error"] == "too-slow"
    assert told["message"].startswith(what)


def test_a_body_that_breaks_off_is_refused(server: Serving) -> None:
    heard = server.say(POST + b"Content-Length: 5000\r\n\r\n\x89PNG", hang_up=True)
    assert b"incomplete-body" in heard


def test_a_client_that_leaves_without_a_word_harms_nobody(server: Serving) -> None:
    for sent in (b"", b"GET", POST + b"Content-Length: 5000\r\n\r\n\x89PNG"):
        server.say(sent, hang_up=True)
    assert server.predict(picture()).status == 200


def test_a_large_body_is_refused_although_the_client_sends_it_all(server: Serving) -> None:
    """The answer arrives: the server goes on reading until the client has looked."""
    reply = server.predict(b"x" * 20_000_000)
    assert (reply.status, reply.json["error"]) == (413, "body-too-large")


@pytest.mark.parametrize(
    "half",
    [
        b"", b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n",
        POST + b"Content-Type: image/png\r\n" + SHORT + b"\r\n12",
        b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["nothing", "half a header", "half a body", "a request and no other"],
)  # fmt: skip
def test_half_sent_requests_keep_nobody_out(good_set: Path, half: bytes) -> None:
    patience = Patience(head_s=10 * PATIENCE_S, body_s=10 * PATIENCE_S, idle_s=10 * PATIENCE_S)
    chooser = Chooser(good_set, variant="tiny-sq8")
    with (
        serving(chooser, limits=Limits(connections=4), patience=patience) as crowded,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(20):
            line = stack.enter_context(socket.create_connection(crowded.place, PATIENCE_S))
            line.sendall(half)
            assert crowded.ask("GET", "/v1/health").status == 200
        assert crowded.predict(picture()).status == 200


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:8600", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8600"]
)
def test_on_loopback_it_is_called_by_the_names_of_this_machine(server: Serving, name: str) -> None:
    assert server.ask("GET", "/v1/health", Host=name).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.example", "evil.example:8600", "localhost.evil.example", "127.0.0.1.evil.example",
        "[::1].evil.example", "evil.example:80:localhost", "192.168.1.1", "",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/health"), ("GET", "/metrics"), ("POST", "/v1/predict")]
)
def test_on_loopback_another_name_is_refused(
    server: Serving, method: str, path: str, name: str
) -> None:
    """A page of that name would read what is open here to this machine."""
    reply = server.ask(method, path, picture() if method == "POST" else None, Host=name)
    assert (reply.status, reply.json["error"]) == (421, "wrong-host")
    assert "expected localhost or 127.0.0.1 or ::1, in the URL" in reply.json["message"]


def test_a_target_with_a_name_of_its_own_is_called_by_that(server: Serving) -> None:
    head = b"GET http://evil.example/v1/health HTTP/1.1\r\nHost: localhost\r\n"
    assert server.say(head + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 421 ")


def test_where_others_reach_it_any_name_will_do(good_set: Path) -> None:
    with serving(Chooser(good_set, variant="tiny-sq8"), host="0.0.0.0") as open_one:  # noqa: S104 - that is what is tested
        assert open_one.ask("GET", "/v1/health", Host="box-7.plant.example").status == 200
