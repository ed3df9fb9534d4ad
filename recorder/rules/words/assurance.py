"""Words for recording assurance."""

from collections.abc import Mapping

ASSURANCE: Mapping[str, Mapping[str, str]] = {
    "Verdict": {
        "not_recorded": "not recorded",
        "bypassed": "went round the recorder",
        "silent": "silent",
        "one_sided": "one side only",
        "short": "recording too short",
        "clipped": "distorted, too loud",
        "drift": "sides drift apart",
        "not_due": "not recorded, as the policy says",
        "recorded": "recorded",
    },
    "LeftOut": {
        "not_answered": "not answered",
        "not_nominated": "of no nominated extension",
        "internal": "calls between two people inside",
        "emergency": "emergency calls",
        "answered_elsewhere": "answered by somebody whose calls are not recorded",
        "repeated": "the same row again",
        "too_old": "too long ago to be compared",
    },
    "CallDirection": {"inbound": "inbound", "outbound": "outbound", "internal": "internal"},
    "Repeated": {"earlier": "the earlier one", "later": "the later one"},
}
TO_DO: Mapping[str, str] = {
    "not_recorded": "Ask ICT whether the call took another route than through the recorder, and whether the extension "
    "is nominated with its present number.",
    "bypassed": "The recorders were away or full. Ask ICT what happened then; the page Health has the alarms.",
    "silent": "Listen to the recording. If nobody is heard, ask ICT to check the audio of trunk and telephone.",
    "one_sided": "Listen to the recording. If one side is missing, ask ICT to check that side's audio: firewall, "
    "encryption, address.",
    "short": "Compare the times. If the end is missing, ask ICT what the recorder reported: a full disk, a transfer.",
    "clipped": "Listen to the recording. If words cannot be understood, ask ICT to lower the level of that side.",
    "drift": "Ask ICT to check the clock of the telephone or gateway of that side; playback corrects small drift.",
}
"""What to do about each bad verdict."""
