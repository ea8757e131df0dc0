"""PostgreSQL, the system of record: the schema, transactions, the journal and one store per noun."""
