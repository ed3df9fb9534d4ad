"""Whether the recording of a call in progress is to be kept, so that a card payment does not drop it."""

from datetime import datetime

from storage.claims import OPEN, Claims
from storage.database import Database
from storage.holds import Holds
from storage.types import RecordingId


def is_kept(database: Database, recording: RecordingId, now: datetime) -> bool:
    """Tell whether a hold stands on a recording, or a claim from which something follows; asks the database."""
    if Holds(database).standing(recording, now):
        return True
    return any(claim.state in OPEN for claim in Claims(database).of_recording(recording))
