"""What the deployment has to make of each DAG; a further DAG is a further entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_aitronos.sandbox.faults import Fault

FLEET = 200
"""Assistants that the sandbox adds for the checks of a fleet."""

ANY: Any = object()
"""An XCom that cannot be known beforehand, but must be there."""


@dataclass(frozen=True)
class TaskCheck:
    """
    How a task instance has to end.

    :param xcom: its return value, of a dict the items that matter; None if it pushes none.
    :param state: its state.
    :param tries: how often it runs.
    """

    xcom: Any = None
    state: str = "success"
    tries: int = 1


@dataclass(frozen=True)
class DagCheck:
    """
    One triggered DAG run and what has to come of it.

    :param dag_id: the DAG.
    :param tasks: all of its task instances: task id, with the map index if there is one.
    :param conf: what it is triggered with.
    :param state: of the run.
    :param detached: the assistants of the sandbox that are detached, each by one request, and no others.
    :param faults: of the sandbox, during the run.
    :param answer: to the question that its task ``approve`` asks a human; None if it asks none.
    :param triggered_by: the run that starts this one by updating an asset; None to trigger it directly.
    """

    dag_id: str
    tasks: Mapping[str, TaskCheck]
    conf: Mapping[str, Any] = field(default_factory=dict)
    state: str = "success"
    detached: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    answer: str | None = None
    triggered_by: DagCheck | None = None


def _detached(name: str) -> TaskCheck:
    return TaskCheck(
        {
            "assistant_id": f"asst_{name}",
            "workflow_id": f"flow_{name}",
            "message": "Operation completed successfully",
        }
    )


DAG_CHECKS = (
    DagCheck(
        "example_detach_workflow",
        # Not the DAG's default: a weekly run that happens to be due may detach that one first.
        conf={"assistant_id": "asst_billing01"},
        tasks={
            "detach": _detached("billing01"),
            "report": TaskCheck("flow_billing01 is no longer linked to asst_billing01"),
        },
        detached=("asst_billing01",),
    ),
    DagCheck(
        "example_detach_after_deployment",
        conf={"old_assistants": ["asst_onboarding01"]},
        tasks={
            "deploy": TaskCheck(ANY),
            "promote": TaskCheck(ANY),
            "old_assistants": TaskCheck(["asst_onboarding01"]),
            "detach[0]": _detached("onboarding01"),
        },
        detached=("asst_onboarding01",),
    ),
    DagCheck(
        "example_detach_workflow",
        # The id is checked before anything is sent, and a retry cannot help.
        conf={"assistant_id": "None"},
        tasks={"detach": TaskCheck(state="failed"), "report": TaskCheck(state="upstream_failed", tries=0)},
        state="failed",
    ),
    DagCheck(
        "example_detach_after_approval",
        conf={"assistant_id": "asst_billing01"},
        answer="Approve",
        tasks={
            "read_link": TaskCheck(ANY),
            "is_linked": TaskCheck(True),
            "approve": TaskCheck(ANY),
            "detach": _detached("billing01"),
        },
        detached=("asst_billing01",),
    ),
    DagCheck(
        "example_detach_after_approval",
        conf={"assistant_id": "asst_onboarding01"},
        answer="Reject",
        tasks={
            "read_link": TaskCheck(ANY),
            "is_linked": TaskCheck(True),
            "approve": TaskCheck(),
            "detach": TaskCheck(state="skipped", tries=0),
        },
    ),
    DagCheck(
        "example_detach_after_approval",
        # Has no workflow, so nobody is asked.
        conf={"assistant_id": "asst_idle01"},
        tasks={
            "read_link": TaskCheck({"assistant_id": "asst_idle01", "workflow_id": None, "workflow": None}),
            "is_linked": TaskCheck(),
            "approve": TaskCheck(state="skipped", tries=0),
            "detach": TaskCheck(state="skipped", tries=0),
        },
    ),
    DagCheck(
        "example_detach_on_asset",
        triggered_by=DagCheck(
            "example_deploy_to_asset",
            conf={"old_assistants": ["asst_billing01"]},
            tasks={"deploy": TaskCheck()},
        ),
        tasks={"old_assistants": TaskCheck(["asst_billing01"]), "detach[0]": _detached("billing01")},
        detached=("asst_billing01",),
    ),
    DagCheck(
        "example_detach_fleet",
        conf={"prefix": "Onb"},
        answer="Approve",
        tasks={
            "choose": TaskCheck(ANY),
            "plan": TaskCheck({"counts": {"would_detach": 1}}),
            "approve": TaskCheck(ANY),
            "detach": TaskCheck({"counts": {"detached": 1}, "complete": True}),
            "tell": TaskCheck({"detached": 1}),
        },
        detached=("asst_onboarding01",),
    ),
    DagCheck(
        "example_detach_as_teardown",
        tasks={"set_up_trial": TaskCheck(ANY), "try_out": TaskCheck(ANY), "detach": TaskCheck(ANY)},
    ),
)

FLEET_CHECKS = (
    DagCheck(
        "example_detach_fleet",
        conf={"prefix": "Fleet"},
        answer="Approve",
        tasks={
            "choose": TaskCheck(ANY),
            "plan": TaskCheck({"counts": {"would_detach": FLEET}}),
            "approve": TaskCheck(ANY),
            "detach": TaskCheck({"counts": {"detached": FLEET}, "complete": True, "failed": []}),
            "tell": TaskCheck({"detached": FLEET}),
        },
        detached=tuple(f"asst_fleet{number:05d}" for number in range(1, FLEET + 1)),
    ),
    DagCheck(
        "example_detach_fleet",
        # Fleet 20 and Fleet 200; the API refuses the second one.
        conf={"prefix": "Fleet 20"},
        answer="Approve",
        faults=(Fault("status", status=403, method="DELETE", path=".*/asst_fleet00200/workflow"),),
        tasks={
            "choose": TaskCheck(ANY),
            "plan": TaskCheck({"counts": {"would_detach": 2}}),
            "approve": TaskCheck(ANY),
            "detach": TaskCheck(state="failed"),
            "tell": TaskCheck(state="failed"),
        },
        state="failed",
        detached=("asst_fleet00020",),
    ),
)
