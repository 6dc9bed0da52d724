"""IMAP on both sides of the proxy."""
