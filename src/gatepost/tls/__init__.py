"""OpenSSL, and only here: finding the library, contexts, connections on a descriptor, errors."""
