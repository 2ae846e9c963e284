"""What the checks of the emulator's own tests find, in words; and what they are not to wonder at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

UNTOLD = {"last_used", "last_used_region"}
"""When an access key or a role was used last: every signed request changes it, and nothing tells of that alone."""
STACKS = {"cf_resource_type", "logical_resource_id"}
"""What CloudFormation, which is no part of a world, notes in what it made."""
_EXPECTED = [
    (service, re.compile(pattern))
    for service, pattern in (
        ("", "FakeDatetime"),  # the time is the same; that a test held the clock is over
        ("iam", r"aws_managed_policies[[]\d+[]]\.id"),  # not captured: given at random
        ("iam", r"backend\.roles: the keys"),  # not captured: those in other partitions than aws
        ("logs", r"(first|last)_event_timestamp: NoneType None became"),  # counted when it is asked for
        ("ssm", r"_parameters.*/aws/service/"),  # read from files when they are asked for
        ("dynamodb", r"table_(im|ex)ports[[].*[]]\.table"),  # of a table deleted since, its name is kept
        ("events", r"tagger\.tags: the keys"),  # nobody lists them
        ("s3", r"buckets[[].*[]]\.keys: the keys"),  # listed by their names
    )
]


class Fault(NamedTuple):
    """What was found wrong.

    Attributes:
        service: of the adapter.
        kind: unseen: a change that nothing told of; crash: something raised; json: a record does not come back from
            it; check: what is there is refused; group, body: what a record belongs to is not there; restored: what the
            emulator reads is another after a restore; graph: so are its objects.
        what: without what differs from test to test.
        example: with it.
        action: asked for by the client.
        test: in which it was found.
    """

    service: str
    kind: str
    what: str
    example: str
    action: str
    test: str


def expected(service: str, difference: str) -> bool:
    """Whether objects may differ so from those that they were restored from: no client can tell, or ``not_captured``
    says so."""
    return any(of in ("", service) and pattern.search(difference) for of, pattern in _EXPECTED)


def changed(change: Any) -> set[str]:
    """The fields in which a resource differs; ``*`` where it is not the same any more."""
    if change.before is None or change.after is None or type(change.before) is not type(change.after):
        return {"*"}
    names = type(change.before).__struct_fields__
    return {n for n in names if n != "rank" and getattr(change.before, n) != getattr(change.after, n)}


def fields(change: Any) -> str:
    """Those that have changed."""
    return f": {', '.join(sorted(changed(change) - {'*'}))}"


def values(change: Any) -> str:
    """What the fields that have changed were, and are."""
    names = sorted(changed(change) - {"*"})
    return "; ".join(f"{n}: {getattr(change.before, n)!r:.150} became {getattr(change.after, n)!r:.150}" for n in names)


def bare(text: object) -> str:
    """Without what differs from one test to the next."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|[0-9a-f]{8,}|\d+(\.\d+)?", "…", str(text))[:160]


def traced(error: BaseException) -> str:
    """An error, and where it came from."""
    at = error.__traceback__
    places = []
    while at is not None:
        places.append(f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}")
        at = at.tb_next
    return f"{error!r} at {' '.join(places[-4:])}"
