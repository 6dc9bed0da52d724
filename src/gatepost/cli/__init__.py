"""The command line: nginx's options, with nginx's meaning."""
