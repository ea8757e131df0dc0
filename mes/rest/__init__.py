"""The door for programs and people: parse, call a command or a query, translate. One router per noun."""
