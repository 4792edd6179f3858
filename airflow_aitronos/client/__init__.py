"""
The HTTP side of the provider: speaks to the Aitronos API and knows nothing of DAGs.

``call.py`` puts the rest together: it makes one API call, which is one or more attempts.
"""
