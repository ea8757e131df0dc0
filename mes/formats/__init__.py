"""Foreign formats and ours, pure: bytes and documents into values and back. No file, socket or clock is touched."""
