"""What a server answers to good requests, by a real worker over real sockets."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.processes import run_json
from support.serving import Serving, picture

FORM = "multipart/form-data; boundary=frontier"


def form(*files: bytes) -> bytes:
    """A form as `curl -F note=hello -F image=@photo.png` sends it."""
    field = b'--frontier\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    head = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="photo.png"\r\n'
    parts = [head + b"Content-Type: image/png\r\n\r\n" + file + b"\r\n" for file in files]
    return field + b"".join(parts) + b"--frontier--\r\n"


def test_an_answer_is_the_one_that_predict_gives(
    server: Serving, good_set: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(picture())
    options = ("--bundles", good_set, "--variant", "tiny-sq8")
    (comparison,) = run_json("edgewright-agent", "predict", photo, *options)
    answer = server.predict(photo.read_bytes(), "?top=3").json
    assert answer["variant"] == "tiny-sq8"
    assert answer["top"] == comparison["opinions"][0]["top"]
    parts = ("decode_ms", "preprocess_ms", "inference_ms", "postprocess_ms")
    assert all(answer[part] > 0 for part in parts)
    assert answer["total_ms"] >= sum(answer[part] for part in parts)


@pytest.mark.parametrize(("query", "count"), [("", 4), ("?top=1", 1), ("?top=1000", 4)])
def test_top_says_how_many_classes_and_a_network_has_no_more_than_it_has(
    server: Serving, query: str, count: int
) -> None:
    assert len(server.predict(picture(), query).json["top"]) == count


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_the_usual_formats_are_read_whatever_the_type_says(server: Serving, kind: str) -> None:
    assert server.predict(picture(kind=kind), kind="application/octet-stream").status == 200


def test_a_form_with_one_file_is_taken(server: Serving) -> None:
    top = server.predict(picture()).json["top"]
    assert server.predict(form(picture()), kind=FORM).json["top"] == top


def test_a_form_with_no_file_or_two_or_without_its_end_is_refused(server: Serving) -> None:
    for body in (form(), form(picture(), picture()), form(picture())[:-20]):
        reply = server.predict(body, kind=FORM)
        assert (reply.status, reply.json["error"]) == (400, "bad-form")
    assert server.predict(form(picture()), kind="multipart/form-data").json["error"] == "bad-form"


def test_many_requests_on_one_connection_are_answered_in_order(server: Serving) -> None:
    connection = http.client.HTTPConnection(*server.place, timeout=60)
    paths = ("/v1/health", "/nowhere", "/metrics", "/v1/health")
    statuses = []
    for path in paths:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    first_socket = connection.sock
    connection.request("POST", "/v1/predict", picture(), {"Content-Type": "image/png"})
    assert connection.getresponse().read().startswith(b'{"variant":"tiny-sq8"')
    assert connection.sock is first_socket
    connection.close()
    assert statuses == [200, 404, 200, 200]


def test_requests_sent_at_once_are_all_answered(server: Serving) -> None:
    """Two requests in one packet, the second of which ends the connection after a line break."""
    ask = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    heard = server.say(ask % b"" + b"\r\n" + ask % b"Connection: close\r\n")
    assert heard.count(b"HTTP/1.1 200 OK") == 2


def test_clients_at_the_same_time_each_get_their_own_answer(server: Serving) -> None:
    """Eight clients with pictures of different sizes, six times each."""
    pictures = [picture(20 + 9 * i, 30) for i in range(8)]
    alone = [server.predict(one).json["top"] for one in pictures]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(6):
            assert [r.json["top"] for r in pool.map(server.predict, pictures)] == alone


def test_a_client_that_waits_for_leave_gets_it(server: Serving) -> None:
    """As curl does with large bodies."""
    body = picture()
    head = (
        f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        f"Connection: close\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    heard = server.say(head.encode(), body)
    assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_health_says_what_is_served(server: Serving) -> None:
    reply = server.ask("GET", "/v1/health")
    assert reply.status == 200
    health = reply.json
    assert health["variant"] == "tiny-sq8"
    assert health["ready"] is True
    assert health["since"] > 0
    assert health["version"]
    assert health["problem"] is None


def test_head_is_get_without_the_body(server: Serving) -> None:
    reply = server.ask("HEAD", "/v1/health")
    assert reply.status == 200
    assert reply.body == b""
    assert int(reply.headers["content-length"]) > 0
