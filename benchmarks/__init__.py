"""Measures chat_service against its peers: ``make bench``, or ``python -m benchmarks --help``.

Not part of the installed package. docs/performance.md shows the results and explains how they are obtained.
"""
