"""A real browser, headless: checks pages of Airflow, and takes the pictures of the documentation."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Error, FloatRect, Locator, Page, expect, sync_playwright

from dev.e2e.progress import CheckFailedError, say

CONN_ID = "aitronos_e2e"
_LONGEST_STEP = 60_000.0
"""Milliseconds, as everything in Playwright."""
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)
_GRAPHS = {
    "example_detach_workflow": "RIGHT",
    "example_detach_after_deployment": "RIGHT",
    "example_detach_after_approval": "DOWN",
    "example_detach_on_asset": "RIGHT",
    "example_detach_fleet": "DOWN",
    "example_detach_as_teardown": "RIGHT",
}
"""The direction in which the graph of each example is small enough to be legible."""
_MARGIN = 8.0


@dataclass(frozen=True)
class Visit:
    """
    What the browser needs to know.

    :param url: of the deployment.
    :param user: name of the user.
    :param password: of the user.
    :param base_url: of the API, for the form.
    :param api_key: for the form.
    :param screenshots: folder for them.
    """

    url: str
    user: str
    password: str
    base_url: str
    api_key: str
    screenshots: Path


def program() -> str:
    """
    Return the path of Chromium.

    :raises CheckFailedError: if it is not installed.
    """
    found = shutil.which("chromium")
    if found is None:
        raise CheckFailedError("Chromium is not installed: apt-get install chromium")
    return found


def check_pages(
    visit: Visit, detached: tuple[str, str], failed: tuple[str, str], failed_fleet: tuple[str, str]
) -> None:
    """
    Log in, test and save a connection, open what task runs have left, and take pictures of it all.

    :param visit: where, and as whom.
    :param detached: DAG and run whose task ``detach`` has detached ``flow_billing01``.
    :param failed: DAG and run whose task ``detach`` has got no id.
    :param failed_fleet: DAG and run whose task ``detach`` has detached all but one of a fleet.
    :raises CheckFailedError: if a page does not show what it has to.
    """
    with _page(visit.screenshots) as page:
        say("log in with the browser")
        page.goto(visit.url)
        _log_in(page, visit)
        # Airflow's own choices of a user; most of the page for the details of a task.
        _choose(page, {"log_wrap": True, "react-resizable-panels:grid-ltr": _panels(1)})
        say("add a connection and test it")
        _add_connection(page, visit)
        say("open XCom and log of tasks")
        _open_xcom(page, visit, *detached, "xcom", 160, ('"flow_billing01"', '"detached"'))
        _open_xcom(page, visit, *failed_fleet, "report", 690, ('"counts"', '"refused"', '"detached"'))
        page.goto(_task_url(visit, *failed))
        # A click folds the traceback.
        page.get_by_text("AitronosInputError: assistant_id is 'None', which is not an id.").click()
        expect(page.get_by_text(re.compile("^File ")).first).to_be_hidden()
        _photograph(page, visit.screenshots / "log.png", page.get_by_test_id("virtualized-list"))
        say("open grid and graphs")
        _choose(page, {"react-resizable-panels:grid-ltr": _panels(45)})
        page.goto(f"{visit.url}/dags/{failed_fleet[0]}")
        tasks = page.locator("#main-panel a")
        expect(tasks.get_by_text("tell")).to_be_visible()
        corner = page.get_by_test_id("grid-view-button")
        _photograph(page, visit.screenshots / "grid.png", corner, *tasks.all())
        _choose(page, {"default_dag_view": "graph", "react-resizable-panels:graph-ltr": _panels(95)})
        page.set_viewport_size({"width": 1000, "height": 760})
        for dag_id, direction in _GRAPHS.items():
            # "immediate" is the asset that starts the DAG, if there is one.
            _choose(page, {f"direction-{dag_id}": direction, f"dependencies-{dag_id}": "immediate"})
            page.goto(f"{visit.url}/dags/{dag_id}")
            nodes = page.locator(".react-flow__node")
            expect(nodes.get_by_text(re.compile("^detach")).first).to_be_visible()
            page.add_style_tag(content=".react-flow__panel { display: none !important }")
            picture = visit.screenshots / f"graph-{dag_id.removeprefix('example_detach_')}.png"
            _photograph(page, picture, *nodes.all(), *page.locator(".react-flow__edge").all())


def _task_url(visit: Visit, dag_id: str, run_id: str) -> str:
    return f"{visit.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}/tasks/detach"


def _panels(share: int) -> object:
    """Return how Airflow remembers the percentage of the left panel."""
    return {"details-panel,main-panel": {"expandToSizes": {}, "layout": [share, 100 - share]}}


def _choose(page: Page, choices: dict[str, object]) -> None:
    for name, value in choices.items():
        page.evaluate("([name, text]) => localStorage.setItem(name, text)", [name, json.dumps(value)])


def _open_xcom(
    page: Page, visit: Visit, dag_id: str, run_id: str, picture: str, height: int, shown: tuple[str, ...]
) -> None:
    page.goto(f"{_task_url(visit, dag_id, run_id)}/xcom")
    # Airflow folds the value, and shows it in a box of 300 px.
    page.get_by_role("button", name=re.compile("expand", re.IGNORECASE)).first.click()
    page.add_style_tag(content=f"section:has(.monaco-editor) {{ height: {height}px !important }}")
    for text in shown:
        expect(page.locator(".view-lines").get_by_text(text).first).to_be_visible()
    _photograph(page, visit.screenshots / f"{picture}.png", page.locator("table"))


@contextlib.contextmanager
def _page(screenshots: Path) -> Iterator[Page]:
    """Open an empty page of a fresh browser; what goes wrong in it ends as one line and a picture."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program(), headless=True, args=_FLAGS) as browser,
    ):
        page = browser.new_page(viewport={"width": 860, "height": 1200}, locale="en-US")
        page.set_default_timeout(_LONGEST_STEP)
        expect.set_options(timeout=_LONGEST_STEP)
        try:
            yield page
        except (Error, AssertionError) as error:
            page.screenshot(path=screenshots / "failed.png")
            line = " ".join(str(error).split())[:400]
            raise CheckFailedError(f"in the browser (see failed.png): {line}") from error


def _log_in(page: Page, visit: Visit) -> None:
    page.locator("input[name=username]").fill(visit.user)
    page.locator("input[name=password]").fill(visit.password)
    page.locator("button[type=submit]").click()
    expect(page.get_by_text("Dags", exact=True).first).to_be_visible()


def _add_connection(page: Page, visit: Visit) -> None:
    page.goto(f"{visit.url}/connections")
    page.get_by_role("button", name="Add Connection").first.click()
    form = page.get_by_role("dialog")
    _field(form, "Connection ID").fill(CONN_ID)
    kind = form.get_by_role("combobox").first
    kind.click()
    page.keyboard.type("Aitronos")
    page.get_by_role("option", name="aitronos").first.click()
    # Apart: Airflow's own way of storing a connection splits them, and then refuses to test what it compares
    # as another host.
    host, _, port = visit.base_url.rpartition(":")
    _field(form, "Base URL").fill(host)
    _field(form, "Port").fill(port)
    _field(form, "API key").fill(visit.api_key)
    form.screenshot(path=visit.screenshots / "form.png", animations="disabled")
    form.get_by_text("Extra Fields", exact=True).first.click()
    expect(form.get_by_text(re.compile("Seconds for one call")).first).to_be_visible()
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    expect(page.get_by_text(CONN_ID).first).to_be_visible()
    # Airflow has the button in the list, for connections that are saved.
    page.get_by_role("button", name="Test Connection").first.click()
    toast = page.locator("[data-scope=toast][data-part=root]").filter(has_text="accepted the API key")
    _photograph(page, visit.screenshots / "test.png", toast)


def _field(form: Locator, label: str) -> Locator:
    """Return the input of a labelled field."""
    return form.get_by_label(label).first


def _photograph(page: Page, path: Path, *shown: Locator) -> None:
    """Take a picture of some elements and what lies between them, once none of them moves."""
    for one in shown:
        one.scroll_into_view_if_needed()
    boxes = [box for one in shown if (box := one.bounding_box())]
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right = max(box["x"] + box["width"] for box in boxes)
    bottom = max(box["y"] + box["height"] for box in boxes)
    clip: FloatRect = {
        "x": left - _MARGIN,
        "y": top - _MARGIN,
        "width": right - left + 2 * _MARGIN,
        "height": bottom - top + 2 * _MARGIN,
    }
    page.screenshot(path=path, clip=clip, animations="disabled")
