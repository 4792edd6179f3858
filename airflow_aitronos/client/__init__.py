"""
The HTTP side of the provider: speaks to the Aitronos API and knows nothing of DAGs.

A detach reads top to bottom in ``detach.py``, ``api_call.py`` and ``responses.py``; the rest are leaves.
"""
