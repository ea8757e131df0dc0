"""The door for stations: topics, sessions, batches, and acknowledging after the commit. Decides nothing by itself."""
