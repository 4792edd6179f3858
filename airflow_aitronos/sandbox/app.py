"""The application: the calls, the keys, the record and the errors put together."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from airflow_aitronos.sandbox.auth import Keyring
from airflow_aitronos.sandbox.errors import install_error_handlers
from airflow_aitronos.sandbox.faults import FaultInjector, FaultPlan
from airflow_aitronos.sandbox.recorder import RecordedRequest, Recorder
from airflow_aitronos.sandbox.routes import protected, public
from airflow_aitronos.sandbox.store import Store


def create_app(
    store: Store,
    *,
    api_key: str,
    read_only_key: str,
    record: Callable[[RecordedRequest], None],
    faults: FaultPlan,
) -> FastAPI:
    """
    Make the application.

    :param store: the state that it serves
    :param api_key: the key that may do everything
    :param read_only_key: the key that may only read
    :param record: takes each request, before its reply is sent
    :param faults: what shall go wrong
    :return: an ASGI application
    :raises ValueError: when both keys are the same
    """
    app = FastAPI(
        title="Aitronos sandbox",
        description="A local stand-in for the Aitronos API, served from memory.",
        # A redirect would hide a path that is wrong by a slash.
        redirect_slashes=False,
    )
    app.state.store = store
    # The last one added comes first: what goes wrong is recorded, too.
    app.add_middleware(FaultInjector, plan=faults)
    app.add_middleware(Recorder, keyring=Keyring(api_key, read_only_key), record=record)
    install_error_handlers(app)
    app.include_router(public)
    app.include_router(protected)
    return app
