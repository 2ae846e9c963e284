"""The state of a world over HTTP, under ``/_world``: views, checkpoints, differences, bodies, changes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Request, Response

from holdfast import codec
from holdfast.errors import HoldfastError, InvalidInput, StoreError
from holdfast.worlds.aws.scopes import check_aws_scope
from holdfast.worlds.aws.server.bodies import MAX_JSON_BYTES, Environ, read_body
from holdfast.worlds.aws.server.changes import Changes, Wanted
from holdfast.worlds.aws.server.errors import (
    NoSuchMethod,
    NoSuchPath,
    NoSuchService,
    Unexpected,
    status_of,
)
from holdfast.worlds.aws.server.guarding import check_request
from holdfast.worlds.aws.service import AwsService
from holdfast.worlds.aws.sql import SqlAws
from holdfast.worlds.aws.world import AwsWorld
from holdfast.worlds.merging import MergeConflict, MergeReport, Policy
from holdfast.worlds.model import encode_view

T = TypeVar("T")
PREFIX = "/_world"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_POLICIES: tuple[Policy, ...] = ("keep", "fail", "replace")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_PAGE = 100
_unlimited = 1 << 40
log = logging.getLogger("holdfast.worlds.aws.server")


class NewCheckpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says of a checkpoint that is to be made."""

    name: str | None = None


class StateEndpoints:
    """The WSGI application under ``/_world``.

    Args:
        world: whose state it is.
        changes: of the world.
        token: that requests must bear, if any.
    """

    def __init__(self, world: AwsWorld, changes: Changes, token: str | None) -> None:
        self._world = world
        self._changes = changes
        self._token = token
        self._routes = Map(
            [
                Rule("/_world", methods=["GET"], endpoint=self.about),
                Rule("/_world/reset", methods=["POST"], endpoint=self.reset),
                Rule("/_world/diff", methods=["GET"], endpoint=self.diff),
                Rule("/_world/changes", methods=["GET"], endpoint=self.changes),
                Rule("/_world/checkpoints", methods=["GET"], endpoint=self.checkpoints),
                Rule("/_world/checkpoints", methods=["POST"], endpoint=self.checkpoint),
                Rule("/_world/checkpoints/<name>", methods=["DELETE"], endpoint=self.forget),
                Rule("/_world/checkpoints/<name>/restore", methods=["POST"], endpoint=self.go_back),
                Rule("/_world/bodies/<digest>", methods=["GET"], endpoint=self.body),
                Rule("/_world/bodies/<digest>", methods=["PUT"], endpoint=self.add_body),
                Rule("/_world/<account>/<region>/<service>", methods=["GET"], endpoint=self.view),
                Rule("/_world/<account>/<region>/<service>", methods=["PUT"], endpoint=self.restore),
                Rule("/_world/<account>/<region>/<service>", methods=["PATCH"], endpoint=self.merge),
            ],
            strict_slashes=False,
            merge_slashes=False,
        )
        self._parameters = {
            self.diff: ("before", "after"),
            self.changes: ("account", "region", "service"),
            self.checkpoints: ("limit", "after"),
            self.merge: ("policy", "dry_run"),
        }

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        request = Request(environ)
        try:
            check_request(request, self._token)
            response = self._answer(request)
        except MergeConflict as error:
            response = _refused(error, report=_report(error.report))
        except HoldfastError as error:
            response = _refused(error)
        except Exception:
            log.exception("%s %r failed", request.method, request.path)
            response = _refused(Unexpected("The server failed."))
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            handler, arguments = self._routes.bind_to_environ(request.environ).match()
        except MethodNotAllowed as error:
            raise NoSuchMethod(error.valid_methods or ()) from None
        except (HTTPException, RequestRedirect):
            raise NoSuchPath("There is nothing at that path.") from None
        _check_parameters(request, self._parameters.get(handler, ()))
        response: Response = handler(request, **arguments)
        return response

    # -- the world ----------------------------------------------------------------------------------------------

    def about(self, request: Request) -> Response:
        """What the world is."""
        attached = self._world.store.read(lambda tx: SqlAws(tx).get(self._world.name))
        return _json(
            {
                "name": self._world.name,
                "services": sorted(self._world.services),
                "scopes": [scope._asdict() for scope in self._world.scopes()],
                "holder": attached.holder if attached else None,
            }
        )

    def reset(self, request: Request) -> Response:
        """Empty it."""
        self._world.reset()
        return _json({"reset": self._world.name})

    def diff(self, request: Request) -> Response:
        """What leads from one checkpoint to another, or to the present."""
        before = request.args.get("before")
        if not before:
            raise InvalidInput("There is no checkpoint to compare with.", remedy="Name one by ?before=NAME.")
        return _json(self._world.diff(before, request.args.get("after") or None).to_object())

    def changes(self, request: Request) -> Response:
        """What changes from now on, or since ``Last-Event-ID``, as Server-Sent Events."""
        wanted = Wanted(*(request.args.get(name) for name in ("account", "region", "service")))
        check_aws_scope(wanted.account_id or self._world.account_id, wanted.region or self._world.region)
        if wanted.service is not None:
            self._service(wanted.service)
        stream = self._changes.follow(wanted, request.headers.get("Last-Event-ID"))
        return Response(stream, mimetype="text/event-stream")

    # -- checkpoints --------------------------------------------------------------------------------------------

    def checkpoints(self, request: Request) -> Response:
        """A page of them, newest first."""
        limit = request.args.get("limit", str(_PAGE))
        if not (limit.isascii() and limit.isdigit() and len(limit) < 6):
            raise InvalidInput(f"{limit!r:.80} is no limit.", remedy="Use a whole number under 100,000.")
        return _json(self._world.checkpoints(limit=int(limit), after=request.args.get("after"))._asdict())

    def checkpoint(self, request: Request) -> Response:
        """Make one."""
        return _json(self._world.checkpoint(_decoded(request, NewCheckpoint).name), 201)

    def forget(self, request: Request, name: str) -> Response:
        """Delete one; the world stays as it is."""
        found = self._world.world.find(name)
        self._world.world.forget(found)
        return _json(found)

    def go_back(self, request: Request, name: str) -> Response:
        """Make the world what it was."""
        done = self._world.restore(name)
        return _json({"checkpoint": done.checkpoint.id, "before": done.before.id})

    # -- views --------------------------------------------------------------------------------------------------

    def view(self, request: Request, account: str, region: str, service: str) -> Response:
        """What a service is now in an account and region."""
        text = encode_view(self._service(service).snapshot(account, region)).encode()
        response = Response(text, mimetype="application/json")
        response.set_etag(sha256(text).hexdigest())
        response.headers["Cache-Control"] = "no-cache"
        return response.make_conditional(request)

    def restore(self, request: Request, account: str, region: str, service: str) -> Response:
        """Make a service what a view has."""
        found = self._service(service)
        check_aws_scope(account, region)
        view = found.decode(read_body(request.environ))
        found.restore(account, region, view)
        return _json(_place(account, region, service) | {"resources": len(view.resources)})

    def merge(self, request: Request, account: str, region: str, service: str) -> Response:
        """Add to a service what a view has."""
        found = self._service(service)
        check_aws_scope(account, region)
        policy = _one_of("policy", request.args.get("policy", "keep"), {name: name for name in _POLICIES})
        dry_run = _one_of("dry_run", request.args.get("dry_run", "false"), _TRUTHS)
        view = found.decode(read_body(request.environ))
        report = found.merge(account, region, view, policy=policy, dry_run=dry_run)
        return _json(_place(account, region, service) | _report(report))

    # -- bodies -------------------------------------------------------------------------------------------------

    def body(self, request: Request, digest: str) -> Response:
        """A body that views name."""
        response = Response(self._world.bodies.get(_digest(digest)), mimetype="application/octet-stream")
        response.headers["Content-Disposition"] = "attachment"
        return response

    def add_body(self, request: Request, digest: str) -> Response:
        """Bring a body along, for a view that names it."""
        body = read_body(request.environ)
        if sha256(body).hexdigest() != _digest(digest):
            raise InvalidInput(f"The body is not the one of {digest}.", remedy="Name it by the SHA-256 of its bytes.")
        bodies = self._world.bodies
        self._world.store.run(lambda tx: bodies.write(tx, {digest: body}), idempotent=True)
        bodies.stored([digest])
        return _json({"digest": digest, "size": len(body)})

    def _service(self, name: str) -> AwsService:
        if name not in self._world.services:
            raise NoSuchService(name, self._world.services)
        return self._world.services[name]


def _check_parameters(request: Request, known: Sequence[str]) -> None:
    """Raises:
    InvalidInput: the request has a parameter that the path does not take: a misspelt ``dry_run`` is none.
    """
    if unknown := sorted(request.args.keys() - set(known)):
        taken = f"It takes: {', '.join(known)}." if known else "It takes none."
        raise InvalidInput(f"That path takes no parameter {unknown[0]!r:.80}.", remedy=taken)


def _json(value: Any, status: int = 200) -> Response:
    text = codec.encode(value, what="The answer", max_bytes=_unlimited) + "\n"
    return Response(text, status, mimetype="application/json")


def _refused(error: HoldfastError, **more: Any) -> Response:
    told = {"code": error.code, "message": error.message, "remedy": error.remedy}
    if isinstance(error, StoreError):
        log.error("the store failed: %s", error)
    response = _json({"error": told} | more, status_of(error))
    if isinstance(error, NoSuchMethod):
        response.headers["Allow"] = error.taken
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _place(account: str, region: str, service: str) -> dict[str, Any]:
    return {"service": service, "account_id": account, "region": region}


def _report(report: MergeReport[Any]) -> dict[str, Any]:
    names = ("policy", "dry_run", "added", "conflicts")
    return {name: getattr(report, name) for name in names}


def _decoded(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(read_body(request.environ, MAX_JSON_BYTES) or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(
            f"The request's JSON cannot be read: {error}.", remedy='Send e.g. {"name": "one"}.'
        ) from error


def _one_of(name: str, found: str, known: dict[str, T]) -> T:
    if found not in known:
        raise InvalidInput(f"{name} cannot be {found!r:.80}.", remedy=f"Use one of: {', '.join(known)}.")
    return known[found]


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise InvalidInput(f"{text!r:.80} is no digest.", remedy="Use the 64 hex digits of a SHA-256, in lower case.")
    return text
