"""The lock of an archive: it has holdfast, and the wheels that it names by path are in the archive."""

from __future__ import annotations

from hashlib import sha256

import pytest
from packaging.tags import parse_tag

from holdfast.packages.archive import Requirement, open_archive, parse_lock, requirements
from holdfast.packages.archive.errors import InvalidArchive, InvalidLock, LockUnsatisfied
from holdfast.packages.archive.locks import local_wheels, locked_versions
from tests.archive_kit import FILES, archive, with_lock

HEAD = 'lock-version = "1.0"\ncreated-by = "test"\n'
WHEEL = b"the wheel of holdfast"
NAME = "holdfast-0.1.0-py3-none-any.whl"
DIGEST = sha256(WHEEL).hexdigest()
OWN = f"""
[[packages]]
name = "holdfast"
version = "0.1.0"
wheels = [{{ path = "../dist/{NAME}", hashes = {{ sha256 = "{DIGEST}" }} }}]
"""
REMOTE = """
[[packages]]
name = "msgspec"
version = "0.20.0"
[packages.sdist]
url = "https://example.org/msgspec-0.20.0.tar.gz"
hashes = { sha256 = "11" }
[[packages.wheels]]
url = "https://example.org/msgspec-0.20.0-py3-none-any.whl"
hashes = { sha256 = "22" }
"""
LOCK = (HEAD + OWN + REMOTE).encode()


def other(name: str, more: str) -> str:
    return f'[[packages]]\nname = "{name}"\n{more}\n'


def refusal(lock: bytes, wheels: dict[str, bytes] | None = None) -> str:
    with pytest.raises(InvalidArchive) as refused:
        with_lock(lock, wheels)
    assert refused.value.rule == "lock"
    return refused.value.message


def test_an_archive_with_a_lock_and_a_wheel() -> None:
    found = open_archive(with_lock(LOCK, {NAME: WHEEL}))
    assert found.lock == LOCK
    assert found.files[f"wheels/{NAME}"] == WHEEL


def test_what_is_to_be_installed() -> None:
    assert requirements(parse_lock(LOCK)) == [
        Requirement("holdfast", "0.1.0", f"wheels/{NAME}", None, {"sha256": DIGEST}),
        Requirement("msgspec", "0.20.0", None, "https://example.org/msgspec-0.20.0-py3-none-any.whl", {"sha256": "22"}),
    ]


def test_a_source_distribution_where_no_wheel_fits() -> None:
    lock = LOCK.replace(b"msgspec-0.20.0-py3-none-any.whl", b"msgspec-0.20.0-py2-none-any.whl")
    assert requirements(parse_lock(lock))[1].url == "https://example.org/msgspec-0.20.0.tar.gz"


def test_markers_choose() -> None:
    lock = HEAD + OWN + other("gone", 'marker = "python_version < \'3\'"\nversion = "1"\n' + wheel("gone-1"))
    assert [one.name for one in requirements(parse_lock(lock.encode()))] == ["holdfast"]
    assert locked_versions(parse_lock(lock.encode())) == {"gone": ("1",), "holdfast": ("0.1.0",)}


def wheel(stem: str) -> str:
    return f'wheels = [{{ url = "https://example.org/{stem}-py3-none-any.whl", hashes = {{ sha256 = "33" }} }}]'


def test_several_versions_for_several_environments() -> None:
    one = other("two", "marker = \"python_version < '3'\"\n" + wheel("two-1"))
    lock = parse_lock(
        (HEAD + OWN + one + other("two", "marker = \"python_version > '3'\"\n" + wheel("two-2"))).encode()
    )
    assert locked_versions(lock)["two"] == ("1", "2")
    assert requirements(lock)[1].version == "2"


@pytest.mark.parametrize(
    "lock",
    [
        HEAD + OWN + "marker = \"python_version < '3'\"",
        HEAD + OWN.replace("py3-none-any", "py2-none-any"),
        HEAD + 'requires-python = "<3"\n' + OWN,
        HEAD + "environments = [\"python_version < '3'\"]\n" + OWN,
        HEAD + OWN + OWN,
    ],
)
def test_a_lock_for_others(lock: str) -> None:
    with pytest.raises(LockUnsatisfied):
        requirements(parse_lock(lock.encode()))


def test_another_interpreters_tags() -> None:
    lock = parse_lock((HEAD + OWN.replace("py3-none-any", "cp311-cp311-linux_x86_64")).encode())
    assert requirements(lock, tags=list(parse_tag("cp311-cp311-linux_x86_64")))
    with pytest.raises(LockUnsatisfied):
        requirements(lock, tags=list(parse_tag("cp312-cp312-linux_x86_64")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff", "no lock"),
        (b"x = ", "no lock"),
        (b"", "lock-version"),
        (b"x = " + b"[" * 100_000, "no lock"),
        (HEAD.replace("1.0", "2.0").encode() + b"packages = []", "not supported"),
        (HEAD.encode() + b"packages = []", "does not contain holdfast"),
        (HEAD.encode() + REMOTE.encode(), "does not contain holdfast"),
        ((HEAD + OWN.replace("hashes = {", "hushes = {")).encode(), "hashes"),
        ((HEAD + OWN.replace("sha256 =", "").replace(f'"{DIGEST}"', "")).encode(), "hash"),
        ((HEAD + OWN.replace("holdfast-0", "other-0")).encode(), "consistent"),
        ((HEAD + OWN + other("x", 'directory = { path = ".", editable = true }')).encode(), "directory"),
        (
            (HEAD + OWN + other("x", 'vcs = { type = "git", url = "https://example.org", commit-id = "1" }')).encode(),
            "repository",
        ),
        (
            (HEAD + OWN + other("x", 'sdist = { path = "x-1.tar.gz", hashes = { sha256 = "1" } }')).encode(),
            "local source",
        ),
        ((HEAD + OWN + OWN.replace("../dist", "elsewhere")).encode(), "two wheels"),
        ((HEAD + OWN + other("x", 'marker = "' + "(" * 50_000 + '"\n' + wheel("x-1"))).encode(), "no lock"),
        (b"a." * 1_000_000 + b"a = 1", "32 parts"),
        (b"[" + b"'a' . " * 600_000 + b"a]", "32 parts"),
        (LOCK + b"#" * (4 << 20), "more than"),
    ],
)
def test_what_is_no_lock(text: bytes, said: str) -> None:
    with pytest.raises(InvalidLock, match=said):
        parse_lock(text)
    refusal(text, {NAME: WHEEL})


def test_lock_wheels_and_manifest_belong_together() -> None:
    assert "is not in the archive" in refusal(LOCK)
    assert "not the wheel whose hash" in refusal(LOCK, {NAME: b"another"})
    assert "does not name 'wheels/x-1-py3-none-any.whl'" in refusal(LOCK, {NAME: WHEEL, "x-1-py3-none-any.whl": b""})
    whole = {**FILES, "pylock.toml": LOCK, f"wheels/{NAME}": WHEEL}
    for files, digest in (
        (whole, None),
        (whole, "0" * 64),
        (FILES, sha256(LOCK).hexdigest()),
        ({**FILES, f"wheels/{NAME}": WHEEL}, None),
    ):
        with pytest.raises(InvalidLock):
            archive(files, lock=digest)


def test_a_wheel_that_is_given_as_an_archive_is_the_wheel_that_it_is() -> None:
    """As installers write those that were named by path."""
    digest = sha256(b"wheel").hexdigest()
    lock = f"""
lock-version = "1.0"
created-by = "somebody"
[[packages]]
name = "holdfast"
version = "1.0"
archive = {{ path = "dist/holdfast-1.0-py3-none-any.whl", hashes = {{ sha256 = "{digest}" }} }}
""".encode()
    assert list(local_wheels(parse_lock(lock))) == ["wheels/holdfast-1.0-py3-none-any.whl"]
    (chosen,) = requirements(parse_lock(lock))
    assert (chosen.wheel, chosen.url) == ("wheels/holdfast-1.0-py3-none-any.whl", None)
