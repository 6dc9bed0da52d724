"""POP3 on both sides of the proxy."""
