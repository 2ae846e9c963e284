"""The AWS protocols over HTTP: each request is answered by the emulator, inside the world's gate (WO-11)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from flask import Flask
from moto import backends
from moto.backend_index import backend_url_patterns
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.datastructures import Headers
from werkzeug.test import run_wsgi_app

from holdfast.errors import HoldfastError
from holdfast.worlds.aws.answering import Answer, check_storable, fault, is_form, refusal
from holdfast.worlds.aws.gate import GATE
from holdfast.worlds.aws.server.bodies import Environ, read_body, with_body
from holdfast.worlds.aws.server.errors import MalformedRequest, RequestTooLarge
from holdfast.worlds.aws.universe import Universe
from holdfast.worlds.aws.world import AwsWorld, Overtaken

log = logging.getLogger("holdfast.worlds.aws.server")
Wsgi = Callable[[Environ, Any], Any]


class NoSuchHost(Exception):
    """No service of the emulator answers for a host."""


class Services(DomainDispatcherApplication):
    """Finds the emulator's application for a request."""

    def __init__(self) -> None:
        super().__init__(_application)

    def get_backend_for_host(self, host: str | None) -> Any:
        """The service that answers for ``host``; ``None``: it is not told yet."""
        return None if host is None else _service_of(host)


class AwsEndpoints:
    """The WSGI application that speaks to clients of AWS.

    Args:
        world: whose state it is.
    """

    def __init__(self, world: AwsWorld) -> None:
        self._world = world
        self._services = Services()

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        as_json = "HTTP_X_AMZ_TARGET" in environ
        try:
            status, headers, body = self._answer(environ, as_json=as_json)
        except RequestTooLarge as error:
            return answered(fault(413, "EntityTooLarge", error.message, as_json=as_json), start_response)
        except MalformedRequest as error:
            return answered(fault(400, "MalformedHttpRequestException", error.message, as_json=as_json), start_response)
        except HoldfastError as error:
            return answered(refusal(error, as_json=as_json), start_response)
        start_response(status, headers.to_wsgi_list())
        return [body]

    def _answer(self, environ: Environ, *, as_json: bool) -> tuple[str, Headers, bytes]:
        """The emulator's answer, once what it changed is journalled. The request is read before and the answer sent
        after: a slow client keeps nobody else from the gate."""
        body = read_body(environ)
        form = is_form(environ.get("REQUEST_METHOD"), environ.get("CONTENT_TYPE"))
        check_storable(body, as_json=as_json, is_form=form)
        try:
            application = self._services.get_application(with_body(environ, body))
        except NoSuchHost as error:
            return _sent(fault(501, "NotImplemented", str(error), as_json=as_json))
        except Exception:
            return _failed(environ, as_json=as_json)
        return self._world.serve(partial(_run, application, environ, body, as_json=as_json))


def answered(answer: Answer, start_response: Any) -> list[bytes]:
    """An answer of ours, as WSGI has it."""
    status, headers, body = _sent(answer)
    start_response(status, headers.to_wsgi_list())
    return [body]


def _run(application: Wsgi, environ: Environ, body: bytes, *, as_json: bool) -> tuple[str, Headers, bytes]:
    try:
        chunks, status, headers = run_wsgi_app(application, with_body(environ, body), buffered=True)
        return status, headers, b"".join(chunks)
    except (Overtaken, HoldfastError):
        raise
    except Exception:
        return _failed(environ, as_json=as_json)


def _failed(environ: Environ, *, as_json: bool) -> tuple[str, Headers, bytes]:
    """To be called while the exception is handled."""
    log.exception("the emulator failed at %s %r", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
    return _sent(fault(500, "InternalFailure", "The mock AWS failed; the server's log has why.", as_json=as_json))


def _sent(answer: Answer) -> tuple[str, Headers, bytes]:
    status, headers, told = answer
    body = told.encode()
    return str(status), Headers([*headers.items(), ("Content-Length", str(len(body)))]), body


def _application(service: Any) -> Flask:
    """The emulator's application of a service; what it raises comes to us, not to the client. To find its routes the
    emulator makes state of its default account, which is to be in nobody's world."""
    nowhere = Universe()
    with GATE:
        nowhere.appear()
        try:
            made = create_backend_app(service)
        finally:
            nowhere.vanish()
    made.debug = False
    made.config["PROPAGATE_EXCEPTIONS"] = True
    return made


@lru_cache(maxsize=256)
def _service_of(host: str) -> str:
    if host in backends.list_of_moto_modules():
        return host
    for service, pattern in backend_url_patterns:
        if pattern.match(f"http://{host}"):
            return service
    raise NoSuchHost(f"No service of the mock AWS answers for {host!r:.200}.")
