"""PostgreSQL and a broker for a machine that has none, and the processes of `mes up`: found, made, started, ended."""
