"""Server-rendered pages for people: they read queries, act through commands, and are live over one stream."""
