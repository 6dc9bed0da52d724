"""The process that starts workers and looks after them."""
