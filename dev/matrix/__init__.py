"""Run the tests on every supported version of Airflow and Python: ``python -m dev.matrix --help``."""
