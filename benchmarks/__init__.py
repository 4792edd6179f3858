"""
Benchmarks: what the package costs, against what a user would write instead. ``python -m benchmarks --help``.

pyperf and pytest-benchmark finish one contender before they begin the next. What else the machine does in
these seconds would then decide a limit of 1.10, so here contenders take turns.
"""
