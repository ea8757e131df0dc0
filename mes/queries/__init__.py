"""Reads: SQL in, frozen views out, one statement where one will do. Nothing here writes."""
