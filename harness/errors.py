"""What can go wrong, each with one line that names what was asked, what was found and what to do."""


class ClaimbenchError(Exception):
    """Base of every error that claimbench raises on purpose; its text is shown to the user without a traceback."""


class UsageError(ClaimbenchError):
    """A mistake in an option, a path or a setting: nothing was run."""


class DeclarationError(ClaimbenchError):
    """A mistake of a claim's author: the claim cannot be collected."""


class LoadError(ClaimbenchError):
    """A model or its tokenizer cannot be loaded, or must not be (unsafe format, remote code)."""


class StoreError(ClaimbenchError):
    """The store cannot be read or written."""


class NotApplicable(ClaimbenchError):
    """The claim says nothing on this subject; the text says what is missing. Becomes the verdict NOT_APPLICABLE."""


class InvalidMeasurement(ClaimbenchError):
    """A measurement cannot be trusted (a receipt is missing, a rerun differs). Becomes the verdict INVALID."""


class EffectError(ClaimbenchError):
    """A claim function returned something that is not an effect. Becomes the verdict ERROR."""
