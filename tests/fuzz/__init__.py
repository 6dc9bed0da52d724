"""The targets of ``fuzz/``: on their corpus, on what Hypothesis makes of it, and on code that was broken on purpose."""
