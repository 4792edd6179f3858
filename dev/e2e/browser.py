"""A real browser, headless: the connection form, its *Test* button, an XCom and a task log."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Error, Locator, Page, expect, sync_playwright

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


def check_pages(visit: Visit, dag_id: str, run_id: str) -> None:
    """
    Log in, test and save a connection, and open XCom and log of a detach.

    :param visit: where, and as whom.
    :param dag_id: a DAG with a task ``detach``.
    :param run_id: a run of it that has succeeded.
    :raises CheckFailedError: if a page does not show what it has to.
    """
    with _page(visit.screenshots) as page:
        say("log in with the browser")
        page.goto(visit.url)
        _log_in(page, visit)
        say("add a connection and test it")
        _add_connection(page, visit)
        say("open XCom and log of the task")
        task = f"{visit.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}/tasks/detach"
        page.goto(f"{task}/xcom")
        # Airflow folds the value.
        page.get_by_role("button", name=re.compile("expand", re.IGNORECASE)).first.click()
        expect(page.locator(".view-lines").get_by_text("flow_billing01").first).to_be_visible()
        _photograph(page, visit.screenshots / "xcom.png")
        page.goto(task)
        expect(page.get_by_text(re.compile("Detached workflow")).first).to_be_visible()
        _photograph(page, visit.screenshots / "log.png")


@contextlib.contextmanager
def _page(screenshots: Path) -> Iterator[Page]:
    """Open an empty page of a fresh browser; what goes wrong in it ends as one line and a picture."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program(), headless=True, args=_FLAGS) as browser,
    ):
        page = browser.new_page(viewport={"width": 1200, "height": 1000}, locale="en-US")
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
    _photograph(page, visit.screenshots / "form.png")
    form.get_by_text("Extra Fields", exact=True).first.click()
    expect(form.get_by_text(re.compile("Seconds for one call")).first).to_be_visible()
    _photograph(page, visit.screenshots / "extra-fields.png")
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    expect(page.get_by_text(CONN_ID).first).to_be_visible()
    # Airflow has the button in the list, for connections that are saved.
    page.get_by_role("button", name="Test Connection").first.click()
    expect(page.get_by_text("accepted the API key").first).to_be_visible()
    _photograph(page, visit.screenshots / "test.png")


def _field(form: Locator, label: str) -> Locator:
    """Return the input of a labelled field."""
    return form.get_by_label(label).first


def _photograph(page: Page, path: Path) -> None:
    page.screenshot(path=path, animations="disabled")
