"""The soak: everything that can happen to gatepost, for a long time, and then the question what is left of it.

``python -m soak`` needs nothing but the development install; it uses loopback and ports of its own only.
"""
