"""What a document that cannot be read says."""


class UnreadableDocument(Exception):
    """A file that is no readable document of its kind: a sentence that names the place and a way out."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
