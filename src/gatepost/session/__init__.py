"""One session, from accept to the end of its relay."""
