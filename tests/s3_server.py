"""An S3 server on the loopback for tests: moto's, with faults and delays put in front of it.

``SHAREDLLM_DOCS_TEST_S3=http://KEY:SECRET@HOST:PORT`` puts another S3 server in moto's place, behind the same faults
and counts; its bucket ``documents`` is made if it is not there, and what the tests leave there stays. Where moto, boto3
or s3fs is missing, tests that use it are skipped by name.
"""

from __future__ import annotations

import http.client
import logging
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

PACKAGES = ("moto", "flask", "flask_cors", "boto3", "s3fs", "tenacity")
OTHER = urlsplit(os.environ.get("SHAREDLLM_DOCS_TEST_S3", ""))
"""The server in moto's place, if one is named."""
KEYS = {
    "AWS_ACCESS_KEY_ID": OTHER.username or "key",
    "AWS_SECRET_ACCESS_KEY": OTHER.password or "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "documents"

Fault = str | None
"""``503``, ``500``, ``429``, ``cut`` (half the answer, then the connection ends), ``lost`` (done, but no answer comes),
``reset`` (no answer, nothing done), ``slow`` (a second passes first)."""
Plan = Callable[[str, str, int], Fault]
"""What happens to a request: method, path and its number, counted from 0."""

_CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
_REASONS = {
    "500": ("500 Error", "InternalError"),
    "503": ("503 Busy", "SlowDown"),
    "429": ("429 Many", "TooManyRequests"),
    "403": ("403 No", "AccessDenied"),
}


def need_s3() -> None:
    """Skip the test, by name, where a package is missing."""
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"{package} is not installed (extra dev)")


def _forget_file_systems() -> None:
    """fsspec keeps a file system for the same arguments, though the address in the environment is another server's."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()


class S3Server:
    """A server in a thread of this process.

    Attributes:
        url: its address.
        delay: seconds that every answer is held back.
        plan: which request fails, and how.
        conditions: False for a server that ignores If-Match and If-None-Match.
        requests: (method, path) of every request.
    """

    def __init__(self) -> None:
        import boto3
        from werkzeug.serving import make_server

        _forget_file_systems()

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.delay, self.conditions = 0.0, True
        self.plan: Plan = lambda _method, _path, _number: None
        self.requests: list[tuple[str, str]] = []
        self._lock, self._one_by_one = threading.Lock(), threading.Lock()
        self._app = None if OTHER.hostname else _moto()
        self._server = make_server("127.0.0.1", 0, self, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=KEYS["AWS_DEFAULT_REGION"],
        )
        with suppress(self.client.exceptions.BucketAlreadyOwnedByYou):  # of an earlier run
            self.client.create_bucket(Bucket=BUCKET)
        self.requests.clear()

    def close(self) -> None:
        self.plan, self.delay = (lambda _method, _path, _number: None), 0.0
        self._server.shutdown()
        self._server.server_close()
        _forget_file_systems()

    def counts(self) -> Counter[str]:
        """Number of requests by method."""
        return Counter(method for method, _path in self.requests)

    @contextmanager
    def failing(self, plan: Plan) -> Iterator[None]:
        """Let requests fail for a while."""
        before, self.plan = self.plan, plan
        try:
            yield
        finally:
            self.plan = before

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/_requests":  # their number, for who runs the server in another process
            start("200 OK", [("Content-Type", "text/plain")])
            return [str(len(self.requests)).encode()]
        with self._lock:
            number = len(self.requests)
            self.requests.append((method, path))
        fault = self.plan(method, path, number)
        if self.delay or fault == "slow":
            time.sleep(self.delay or 1.0)
        if not self.conditions:
            environ = {name: value for name, value in environ.items() if name not in _CONDITIONS}
        if fault in _REASONS:
            return _refused(fault, environ, start)
        if fault == "reset":
            return _hang_up(environ)
        status, headers, body = self._answer(environ)
        if fault == "lost":
            return _hang_up(environ)
        start(status, headers)
        if fault == "cut" and method == "GET" and len(body) > 1:
            return _half(body, environ)
        return [body]

    def _answer(self, environ: dict[str, Any]) -> tuple[str, list[Any], bytes]:
        """What the server answers; moto one request at a time: others look and write in one step, moto in two."""
        if self._app is None:
            return _asked_elsewhere(environ)
        told: list[Any] = []

        def begin(status: str, headers: list[Any], _failure: Any = None) -> None:
            told[:] = [status, headers]

        with self._one_by_one:
            body = b"".join(self._app(environ, begin))
        return told[0], told[1], body


def _moto() -> Any:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


def _asked_elsewhere(environ: dict[str, Any]) -> tuple[str, list[Any], bytes]:
    """What the other server answers to a request, which it gets as it is, host and signature included."""
    headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    headers |= {
        name.replace("_", "-"): environ[name] for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)
    }
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    kind = http.client.HTTPSConnection if OTHER.scheme == "https" else http.client.HTTPConnection
    connection = kind(OTHER.hostname or "", OTHER.port, timeout=60)
    try:
        connection.request(environ["REQUEST_METHOD"], environ["RAW_URI"], body, headers)
        reply = connection.getresponse()
        kept = [(name, value) for name, value in reply.getheaders() if name.lower() not in _HOPS]
        return f"{reply.status} {reply.reason}", kept, reply.read()
    finally:
        connection.close()


_HOPS = ("connection", "keep-alive", "transfer-encoding", "date", "server")


def _refused(fault: str, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status, code = _REASONS[fault]
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _hang_up(environ: dict[str, Any]) -> Iterable[bytes]:
    _connection(environ).shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("injected")


def _half(body: bytes, environ: dict[str, Any]) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    _connection(environ).shutdown(socket.SHUT_RDWR)


def _connection(environ: dict[str, Any]) -> socket.socket:
    connection: socket.socket = environ["werkzeug.socket"]
    return connection


def at_random(seed: int, share: float, faults: tuple[str, ...]) -> Plan:
    """A plan that lets a share of the requests fail, but none of a path more than three times in a row."""
    chance, rows, lock = random.Random(seed), Counter[tuple[str, str]](), threading.Lock()

    def plan(method: str, path: str, _number: int) -> Fault:
        with lock:
            if chance.random() >= share or rows[method, path] >= 3:
                rows[method, path] = 0
                return None
            rows[method, path] += 1
            return chance.choice(faults)

    return plan
