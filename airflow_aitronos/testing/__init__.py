"""
Helpers for tests of DAGs that use this provider: a pytest plugin, installed with the extra ``testing``.

Every pytest run of the environment loads :mod:`airflow_aitronos.testing.plugin`. It imports neither Airflow
nor the sandbox until a test asks for one of its fixtures.
"""
