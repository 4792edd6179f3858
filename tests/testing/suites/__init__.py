"""Test files of a user's, run in a pytest of their own; their names keep them out of ours."""
