"""An XCom backend that is away when the first result of each task arrives."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.sdk.bases.xcom import BaseXCom


class FailsOncePerTask(BaseXCom):
    """Raise for the first return value of each task of this process."""

    failed: ClassVar[set[str | None]] = set()

    @staticmethod
    def serialize_value(value: Any, *, key: str | None = None, task_id: str | None = None, **of: Any) -> Any:
        """
        Serialize a value, the second time.

        :param value: of the XCom.
        :param key: of the XCom.
        :param task_id: of the task that pushes it.
        :param of: more about that task.
        """
        if key == "return_value" and task_id not in FailsOncePerTask.failed:
            FailsOncePerTask.failed.add(task_id)
            raise ConnectionError("the XCom backend is away")
        return BaseXCom.serialize_value(value, key=key, task_id=task_id, **of)
