"""Every service of the mock AWS is held to the contract of stateful services (WO-1 … WO-9)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from holdfast.testing import exercise_stateful_service
from tests.aws_subjects import SUBJECTS, AwsSubject, opened

PROVED = [
    pytest.param(subject, id=subject.service_name, marks=[pytest.mark.prove] if subject is not SUBJECTS[0] else [])
    for subject in SUBJECTS
]


@pytest.mark.parametrize("subject", PROVED)
def test_a_detached_service_holds_the_contract(subject: type[AwsSubject]) -> None:
    assert "WO-5" in exercise_stateful_service(partial(opened, subject, None))


@pytest.mark.prove
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.service_name)
def test_an_attached_service_holds_the_contract(subject: type[AwsSubject], tmp_path: Path) -> None:
    numbers = iter(range(1000))

    def open_next() -> object:
        return opened(subject, f"sqlite:///{tmp_path / str(next(numbers))}.db")

    assert "WO-5" in exercise_stateful_service(open_next)  # type: ignore[arg-type]
