"""Names that both sides of a measurement know."""

from __future__ import annotations

SESSION = "session"
HOOK = "hook"
QUIET_HOOK = "quiet-hook"
HTTP_HOOK = "http-hook"
SDK = "sdk"

TITLES = {
    SESSION: "requests.Session, bare",
    HOOK: "AitronosHook",
    QUIET_HOOK: "AitronosHook, INFO off",
    HTTP_HOOK: "HttpHook.run",
    SDK: "aitronos-sdk",
}

API_KEY = "benchmark-key-0123456789"
AITRONOS_CONN_ID = "bench_aitronos"
HTTP_CONN_ID = "bench_http"
TIMEOUT = 30
