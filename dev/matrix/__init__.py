"""The supported versions of Airflow and Python, and what each is tested with; ``noxfile.py`` runs them."""
