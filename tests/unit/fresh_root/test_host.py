"""What a new root takes over of the machine: where packages come from, and nothing that is peculiar to the machine."""

import json

from tests.fresh_root.host import translate_npm, translate_pip, translate_sources

INDEX = """\
http://archive.invalid/debian/|trixie|main|Debian
http://archive.invalid/debian/|trixie|main|Debian
http://archive.invalid/debian/|trixie|contrib|Debian
http://archive.invalid/debian-security/|trixie-security|main|Debian
http://archive.invalid/debian/|sid|main|Debian
http://archive.invalid/other/|trixie|main|Other
file:/srv/packages/|./|$(COMPONENT)|local
"""


def test_sources_of_another_release_come_from_the_same_archives() -> None:
    assert translate_sources(INDEX, "trixie", "bookworm").splitlines() == [
        "deb http://archive.invalid/debian-security/ bookworm-security main",
        "deb http://archive.invalid/debian/ bookworm contrib",
        "deb http://archive.invalid/debian/ bookworm main",
    ]


def test_a_machine_without_lists_of_its_own_release_gives_none() -> None:
    assert translate_sources(INDEX, "noble", "trixie") == ""


def test_pip_learns_how_to_reach_the_index_and_not_what_this_machine_holds_back() -> None:
    listed = """\
:env:.cert='/etc/ssl/own.crt'
global.cert='/etc/ssl/other.crt'
global.constraint='/etc/constraints.txt'
global.find-links='/srv/wheels'
global.index-url='https://index.invalid/simple'
"""
    assert translate_pip(listed) == {"PIP_CERT": "/etc/ssl/own.crt", "PIP_INDEX_URL": "https://index.invalid/simple"}


def test_npm_reaches_its_registry_as_it_does_here() -> None:
    listed = json.dumps(
        {
            "cafile": "/etc/ssl/own.crt",
            "registry": "https://registry.invalid/",
            "proxy": None,
            "yes": False,
            "cache": "/x",
        }
    )
    assert translate_npm(listed) == {
        "NPM_CONFIG_CAFILE": "/etc/ssl/own.crt", "NPM_CONFIG_REGISTRY": "https://registry.invalid/"
    }  # fmt: skip
