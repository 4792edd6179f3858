"""A whole Airflow deployment with this package's wheel, seen through REST and a browser: ``make e2e``."""
