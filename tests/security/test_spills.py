"""Row LG-1: no key and no payload in logs, reprs, errors and error replies, whatever goes wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("spills.py")
ROOT = SCRIPT.parents[2]
#: What every payload holds.
MARK = "hushed 5f1c"
#: What has to have been said, for the test to mean something.
SAID = (
    "raised Worse",
    "alice may not request what names no command",
    "alice may not send 'stop'",
    "alice may not subscribe 'else'",
    "is not authorised",
    "dropped a message",
    "does not know our key",
    "MessageTooLarge",
    "RemoteError",
    "<Message ",
    "<queue ",
    "<Curve server ",
    "closed after its linger",
    "done: left_open",
)


def test_whatever_goes_wrong_no_key_and_no_payload_is_shown(court):
    """Row LG-1: every endpoint, devices wherever they run, a dispatcher and a bus."""
    for name in ("alice", "mallory"):
        court.key(name)
    (court.folder / "cut.pub").write_bytes((court.folder / "server.pub").read_bytes()[:-10])
    ended = subprocess.run(
        [sys.executable, "-X", "dev", str(SCRIPT), str(court.folder), MARK],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    shown = (ended.stdout + ended.stderr).decode(errors="replace")
    assert [word for word in SAID if word not in shown] == [], shown[-3000:]
    secrets = set()
    for path in court.folder.glob("*.key"):
        secrets.update(re.findall(r"^(?:public|secret) (\S+)", path.read_text(), re.MULTILINE))
    assert len(secrets) == 6
    words = [*MARK.split(), *secrets, *(secret[:12] for secret in secrets)]
    found = {word: re.findall(f".*{re.escape(word)}.*", shown)[:3] for word in words if word in shown}
    assert found == {}
