"""Flows that are started by the name of their workflow, and what is shown of those whose version cannot be loaded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast import Holdfast, codec, workflow
from holdfast.errors import InvalidInput
from holdfast.flows.errors import FlowExists, InvalidArguments
from holdfast.flows.model import served_by
from holdfast.hosting.errors import VersionNotLoadable
from holdfast.packages.arguments import ArgumentsUnfit
from holdfast.packages.troubles import clear_trouble, put_trouble
from holdfast.store import open_store
from tests.cli_kit import Run
from tests.package_kit import archive, deployed


@workflow(name="named.double")
async def double(number: int) -> int:
    return 2 * number


def test_a_workflow_of_this_process(store_url: str) -> None:
    with Holdfast(store_url, workflows=[double]) as hf:
        handle = hf.start_named("named.double", {"number": 4}, key="once")
        assert handle.result(20) == 8
        assert hf.start_named("named.double", {"number": 4}, key="once").id == handle.id
        assert hf.start(double, 4, key="once").id == handle.id
        with pytest.raises(FlowExists):
            hf.start_named("named.double", {"number": 5}, key="once")


def test_what_makes_no_sense(sqlite_url: str) -> None:
    with Holdfast(sqlite_url, worker=False) as hf:
        with pytest.raises(InvalidInput):
            hf.start_named("")
        with pytest.raises(InvalidArguments):
            hf.start_named("named.double", [4])  # type: ignore[arg-type]
        assert hf.search().items == []


def test_where_a_type_is_routed_its_flows_are_pinned_whoever_starts_them(new_store_url: Callable[[], str]) -> None:
    with Holdfast(new_store_url(), workflows=[double]) as hf:
        before = hf.start(double, 1)
        assert before.result(20) == 2
        version = archive("one", "named.double")
        deployed(hf.store, version)
        handles = [hf.start(double, 2), hf.start_named("named.double", {"order": "A-1"})]
        handles += hf.start_many(double, [4, 5])
        flows = [handle.flow() for handle in handles]
        assert {flow.package_hash for flow in flows} == {version.content_hash}
        assert {str(flow.status) for flow in flows} == {"created"}  # nobody here runs packages
        assert before.flow().package_hash is None


def test_the_command_line_starts_flows(sqlite_url: str, run: Run) -> None:
    open_store(sqlite_url).close()
    asked = ("flow", "start", "fulfil", '{"order": "A-1"}', "--key", "a", "--tag", "env=prod", "--store", sqlite_url)
    started = run(*asked, "--json")
    assert started.code == 0
    assert (started.json["workflow_type"], started.json["args"], started.json["key"]) == (
        "fulfil",
        {"order": "A-1"},
        "a",
    )
    assert run(*asked, "--json").json["id"] == started.json["id"]
    assert run("flow", "start", "fulfil", "[1]", "--store", sqlite_url, "--json").error["code"] == "invalid_arguments"
    assert len(run("flow", "ls", "--store", sqlite_url, "--json").json["items"]) == 1


def test_stranded_flows_are_shown_with_the_reason(url: str, run: Run) -> None:
    with open_store(url) as store:
        version = archive("one", "fulfil")
        deployed(store, version)
        flow = run("flow", "start", "fulfil", '{"order": "A-1"}', "--store", url, "--json").json["id"]
        error = VersionNotLoadable("Its modules cannot be imported: no module named boto3.")
        store.run(lambda tx: put_trouble(tx, version.content_hash, error, "harbour"))
        listed = run("flow", "ls", "--store", url, "--json").json["items"]
        assert [item["stranded"]["message"] for item in listed] == [error.message]
        human = run("flow", "ls", "--store", url).out
        assert "stranded" in human
        assert "no module named boto3" in " ".join(human.split())
        shown = run("flow", "show", flow, "--store", url, "--json").json
        assert "harbour" in shown["situation"]
        doctor = run("doctor", "--store", url, "--json")
        assert doctor.code == 1
        assert "version_stranded" in [problem["code"] for problem in doctor.json["problems"]]
        store.run(lambda tx: clear_trouble(tx, version.content_hash))
        assert run("flow", "ls", "--store", url, "--json").json["items"][0]["stranded"] is None


def test_arguments_that_the_routed_version_does_not_take(sqlite_url: str, run: Run) -> None:
    with Holdfast(sqlite_url, worker=False) as hf:
        deployed(hf.store, archive("one", "fulfil"))
        with pytest.raises(ArgumentsUnfit, match="order is missing"):
            hf.start_named("fulfil", {"ordr": "A-1"})
        assert hf.search().items == []
        asked = ("flow", "start", "fulfil", "--store", sqlite_url, "--json")
        assert run(*asked).error["code"] == "arguments_unfit"
        assert "It takes order" in run(*asked).error["remedy"]
        assert hf.search().items == []


def test_a_name_that_nobody_has_served_is_hinted_at(sqlite_url: str, run: Run) -> None:
    with Holdfast(sqlite_url, workflows=[double]) as hf:
        hf.start(double, 1).result(20)
        ran = run("flow", "start", "named.doubel", '{"number": 1}', "--store", sqlite_url)
        assert ran.code == 0
        assert "Did you mean named.double?" in ran.err


def test_a_flow_that_was_started_before_there_was_a_route_says_so(sqlite_url: str, run: Run) -> None:
    with Holdfast(sqlite_url, workflows=[double]) as hf:
        version = archive("one", "fulfil")
        early = run("flow", "start", "fulfil", '{"order": "A-1"}', "--store", sqlite_url, "--json").json["id"]
        deployed(hf.store, version)
        served = codec.encode([served_by("fulfil", version.content_hash)])
        hf.store.run(lambda tx: tx.execute("UPDATE workers SET workflow_types = :served", {"served": served}))
        told = " ".join(run("flow", "show", early, "--store", sqlite_url).out.split())
        assert "started while its workflow was routed to no package" in told
