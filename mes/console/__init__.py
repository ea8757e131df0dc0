"""The `mes` command's groups, and how every command of it runs."""
