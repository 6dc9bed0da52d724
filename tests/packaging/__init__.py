"""What is installed beside the program: it must be true of the program."""
