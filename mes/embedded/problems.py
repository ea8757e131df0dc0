"""What can go wrong with a part that runs on this machine, said so that a person knows what to do."""


class PartError(Exception):
    """An embedded part can not run. The text names the part, what was seen, and the way out."""


class PortTakenError(PartError):
    """Another program listens on the port that was asked for."""


class FolderInUseError(PartError):
    """Another `mes` runs the services of the same data folder."""
