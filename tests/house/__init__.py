"""Rules about the code itself. Each message says how to mend what broke it."""
