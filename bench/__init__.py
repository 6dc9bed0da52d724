"""What gatepost costs, beside nginx in the same run: ``make bench``.

The figure is always the server's own: CPU time and memory of all its processes. The load and the servers behind run
in processes of their own and are not counted.
"""
