"""A manufacturing execution system for floors that assemble AI data-center hardware."""
