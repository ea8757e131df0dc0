"""The floor's rules: pure functions over values. No clock, no ids, no I/O, only the standard library."""
