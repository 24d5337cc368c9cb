"""The error tree.

```
TaqrirError
├── SettingsError            the start is refused: a setting is unknown or impossible
├── TransitionError          a state and an event that do not go together: a bug, or a lost race
├── DraftCancelledError      nobody waits for the draft any more: its study is another's, or changed
├── TransientError           worth another try: the network, a lock, a busy peer
│   ├── PeerUnreachableError no connection, or it broke before an answer
│   │   └── NoConnectionError there was none: the peer has nothing of what it was to get
│   ├── PeerBusyError        the peer answered "not now", and said when
│   └── MemoryExhaustedError the model's memory does not hold the request now
└── PermanentError           trying again will not help; its sentence is shown to a person
    ├── PeerRefusedError     the peer answered, and its answer was no
    ├── UnclearAnswerError   the peer answered neither yes nor no: it may have what it was sent
    ├── UnreadableInstanceError   a received object that cannot be understood
    ├── UnreadableMessageError    a received HL7 message that cannot be understood
    ├── UnsupportedPixelsError    no picture can be made of a frame
    ├── CheckpointError      a model folder that cannot be loaded
    ├── PromptTooLongError   what is asked does not fit into the model's context
    ├── TrainingDataError    a data set that cannot be trained on
    ├── TrainingDivergedError     a training whose loss ran away
    ├── SigningRefusedError  a version that may not be signed, or not by these words
    ├── NotForUsError        the study holds nothing that we draft for
    ├── PatientConflictError one Study Instance UID, two patients
    ├── TextIntegrityError   what is about to be sent does not read back as it was written
    └── UnwritableTextError  the destination's character set lacks a letter of the text
```

Messages hold identifiers of ours and UIDs, never patient data.
"""

from __future__ import annotations


class TaqrirError(Exception):
    """The root of every error that Taqrir raises on purpose.

    Attributes:
        words: A peer's own words, where it gave some. They may name a patient: they go into the
            timeline, which retention empties, and never into a log.
    """

    def __init__(self, *sentence: str, words: str = "") -> None:
        super().__init__(*sentence)
        self.words = words


class SettingsError(TaqrirError):
    """A setting is unknown or impossible; the start is refused."""


class TransitionError(TaqrirError):
    """A state and an event that the lifecycle table does not join."""


class DraftCancelledError(TaqrirError):
    """Nobody waits for the draft any more."""


class TransientError(TaqrirError):
    """The same call may succeed later."""


class PeerUnreachableError(TransientError):
    """No connection to the peer, or it broke before an answer came."""


class NoConnectionError(PeerUnreachableError):
    """There was no connection: the peer has nothing of what it was to get."""


class PeerBusyError(TransientError):
    """The peer asks to come again later.

    Attributes:
        wait_seconds: How long it asks to wait.
    """

    def __init__(self, sentence: str, *, wait_seconds: float) -> None:
        super().__init__(sentence)
        self.wait_seconds = wait_seconds


class MemoryExhaustedError(TransientError):
    """The model's memory does not hold the request; fewer pictures may fit."""


class PermanentError(TaqrirError):
    """The same call will fail again; the message tells a person what to do."""


class PeerRefusedError(PermanentError):
    """The peer answered, and its answer was no."""


class UnclearAnswerError(PermanentError):
    """The peer answered neither yes nor no: it may have what it was sent."""


class UnreadableInstanceError(PermanentError):
    """A received object cannot be understood."""


class UnreadableMessageError(PermanentError):
    """A received HL7 message cannot be understood."""


class UnsupportedPixelsError(PermanentError):
    """No picture can be made of a frame."""


class CheckpointError(PermanentError):
    """A model folder cannot be loaded."""


class PromptTooLongError(PermanentError):
    """Question and pictures do not fit into the model's context; a shorter one may."""


class TrainingDataError(PermanentError):
    """A data set cannot be trained on; the message names file and line."""


class TrainingDivergedError(PermanentError):
    """The loss of a training is no number, or ran away."""


class SigningRefusedError(PermanentError):
    """A report version may not be decided on as somebody wants to."""


class NotForUsError(PermanentError):
    """The study holds nothing that we draft for."""


class PatientConflictError(PermanentError):
    """Instances of one Study Instance UID name different patients."""


class TextIntegrityError(PermanentError):
    """What is about to be sent does not read back as it was written."""


class UnwritableTextError(PermanentError):
    """A destination's character set lacks a letter of the text; nothing was sent."""
