"""What the player of a recording's page is given."""

import base64
from dataclasses import replace

from recorder.web.recording_player import player_of
from storage.rows import row_from_json
from tests.helpers.storage_home import row

CALL = replace(row_from_json(row()), path="a/b.rec", duration_s=3.0, peaks=(bytes(range(30)), bytes(30)))


def test_the_player_of_a_recording_has_all_its_peaks() -> None:
    player = player_of(CALL, "/audio")
    assert (player.start_s, player.length_s, player.is_preview) == (0.0, 3.0, False)
    assert base64.b64decode(player.left) == bytes(range(30))


def test_the_player_of_a_copy_of_a_part_has_the_peaks_of_the_part() -> None:
    player = player_of(CALL, "/audio", preview_s=(1.0, 2.5))
    assert (player.start_s, player.length_s, player.is_preview) == (1.0, 1.5, True)
    assert base64.b64decode(player.left) == bytes(range(10, 25))
