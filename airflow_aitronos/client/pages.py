"""Page after page of a list, never without an end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_aitronos.client.call import Client
from airflow_aitronos.client.workflows import Workflow, list_workflows
from airflow_aitronos.exceptions import AitronosInputError, AitronosResponseError

LARGEST_PAGE = 100


def check_page_size(page_size: object) -> None:
    """
    Refuse a page size that the API does not take.

    :param page_size: workflows in one call.
    :raises AitronosInputError: if it is not 1 to 100.
    """
    if isinstance(page_size, bool) or not isinstance(page_size, int) or not 1 <= page_size <= LARGEST_PAGE:
        raise AitronosInputError(f"Nothing was sent: page_size must be 1 to {LARGEST_PAGE}.")


def read_pages(client: Client, filters: Mapping[str, Any], page_size: int) -> Iterator[Workflow]:
    """
    Yield all workflows, read a page at a time.

    :param client: makes the calls.
    :param filters: of the query; None stands for "not given".
    :param page_size: workflows in one call, checked.
    :raises AitronosResponseError: if a page holds only workflows that came before.
    """
    seen: set[str] = set()
    offset = 0
    while True:
        page, total = client.call(list_workflows(filters, limit=page_size, offset=offset))
        # A server that does not heed the offset would be asked for ever.
        if page and seen.issuperset(workflow["id"] for workflow in page):
            raise AitronosResponseError(
                f"Could not list the workflows through connection '{client.settings.conn_id}': the page at "
                f"offset {offset} repeats earlier ones. Trying again may help. Check that Host of the "
                "connection is the API.",
                attempts=1,
            )
        seen.update(workflow["id"] for workflow in page)
        yield from page
        offset += len(page)
        is_last = offset >= total if total is not None else len(page) < page_size
        if not page or is_last:
            return
