"""Reading requests whole, before anything waits for them."""

from __future__ import annotations

import io
from typing import Any

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from holdfast.worlds.aws.server.errors import MalformedRequest, RequestTooLarge

Environ = dict[str, Any]
MAX_BODY_BYTES = 1 << 30
"""Of anything: an object, a view, a body."""
MAX_JSON_BYTES = 1 << 20
"""Of what is no view."""


def read_body(environ: Environ, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body of a request.

    Raises:
        RequestTooLarge: it is longer than ``limit`` bytes.
        MalformedRequest: it cannot be read to its end.
    """
    try:
        return get_input_stream(environ, max_content_length=limit).read()
    except RequestEntityTooLarge as error:
        raise RequestTooLarge(f"The request has more than {limit:,} bytes.") from error
    except (OSError, ClientDisconnected) as error:
        raise MalformedRequest("The request's body cannot be read to its end.") from error


def with_body(environ: Environ, body: bytes) -> Environ:
    """The request once more, with its body at hand."""
    again = {**environ, "wsgi.input": io.BytesIO(body)}
    if again.pop("wsgi.input_terminated", False):
        again.pop("HTTP_TRANSFER_ENCODING", None)
        again["CONTENT_LENGTH"] = str(len(body))
    return again
