"""One test file for each known hole of the field, named after it; README.md is the table of them."""
