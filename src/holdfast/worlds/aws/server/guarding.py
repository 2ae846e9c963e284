"""Who may ask for the state of a world: programs on this machine, or those that have the token."""

from __future__ import annotations

import hmac
import ipaddress
import re

from werkzeug.wrappers import Request

from holdfast.worlds.aws.server.errors import ForeignRequest, TokenNeeded, Unauthorized

_HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?")
_LOCAL_NAMES = {"localhost", "localhost."}


def check_listening(host: str, token: str | None) -> None:
    """Raises:
    TokenNeeded: other machines can reach ``host``, and there is no token.
    """
    if not token and not is_loopback(host):
        raise TokenNeeded(f"{host} is not of this machine alone.")


def is_loopback(host: str) -> bool:
    """Whether this machine's programs alone reach what listens there."""
    address = _address(host)
    return host.lower() in _LOCAL_NAMES or (address is not None and address.is_loopback)


def check_request(request: Request, token: str | None) -> None:
    """See that no page of another site had a browser send the request, and that it bears the token, if there is one.

    A browser sends a page's requests to any address, this server's included, and names the page's site in ``Origin``;
    or, where a site's name was made to lead here, in ``Host``.

    Raises:
        ForeignRequest, Unauthorized: it is refused.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2].lower() != request.host.lower():
        raise ForeignRequest(f"The state of the world is not for pages of {origin!r:.80}.")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise ForeignRequest("The state of the world is not for pages of other sites.")
    if token:
        _check_token(request, token)
    elif not _is_unnamed(request.host):
        raise ForeignRequest(f"{request.host!r:.80} is a name that anybody may have given to this server.")


def _check_token(request: Request, token: str) -> None:
    told = request.headers.get("Authorization", "").encode("latin-1", "replace")
    kind, _, given = told.partition(b" ")
    if kind.lower() != b"bearer" or not hmac.compare_digest(given.strip(), token.encode()):
        raise Unauthorized("The state of this world is for those who have its token.")


def _is_unnamed(host: str) -> bool:
    """Whether a ``Host`` is an address, or this machine's own name for itself: nobody can make either lead here."""
    found = _HOST.fullmatch(host)
    name = (found["v6"] or found["name"] or "").lower() if found else ""
    return name in _LOCAL_NAMES or _address(name) is not None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
