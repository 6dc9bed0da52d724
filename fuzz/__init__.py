"""Fuzzing of everything that parses bytes from outside: targets, their corpus, and what runs them.

A target is a function from bytes to nothing that raises only when something that must always hold does not. The
same targets run in the tests, on the corpus and on what Hypothesis makes up, and for as long as one likes with
atheris (``make fuzz``). There is one file for each in ``targets/``; its presence registers it.
"""
