"""One function is one command: given an open transaction and the time, it changes the system of record."""
