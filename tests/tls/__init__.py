"""The OpenSSL binding, on both back ends, against Python's own ``ssl`` and ``openssl s_client``."""
