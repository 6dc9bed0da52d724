"""OpenSSL, and only here."""
