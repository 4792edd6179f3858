"""Apache Airflow provider for Aitronos."""

__version__ = "0.1.0"
