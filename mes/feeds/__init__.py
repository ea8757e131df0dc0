"""What reads the journal and passes it on: each feed is a cursor over positions."""
