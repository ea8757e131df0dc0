"""What runs at a station: the client with its spool, and simulated stations. Knows only the wire contract."""
