"""What is installed to run the program may be used beside an MIT licence."""

import re
from importlib.metadata import PackageNotFoundError, metadata

from tests.architecture.test_locks import read_pins

COPYLEFT = re.compile(r"\b(A?GPL|GNU (Affero )?General Public|SSPL|BUSL|CC-BY-NC)", re.IGNORECASE)


def licence_of(name: str) -> str:
    about = metadata(name)
    classifiers = [line for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    stated = [text for key in ("License-Expression", "License") for text in about.get_all(key) or []]
    # a long text may quote other licences; its first line is the name
    return " ".join([*(text.partition("\n")[0] for text in stated), *classifiers]).strip()


def test_no_package_binds_the_users_of_this_program() -> None:
    found = {}
    for name in read_pins("requirements.lock"):
        try:
            found[name] = licence_of(name)
        except PackageNotFoundError:
            continue  # of another platform
    assert len(found) > 30
    assert {name: licence for name, licence in found.items() if not licence} == {}
    assert {name: licence for name, licence in found.items() if COPYLEFT.search(licence)} == {}
