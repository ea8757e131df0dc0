"""Feeds of the journal, against real receivers."""
