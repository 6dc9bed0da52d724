"""The targets of ``fuzz/``: on their corpus, on what Hypothesis makes of it, on code broken on purpose."""
