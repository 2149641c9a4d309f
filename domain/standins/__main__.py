"""`python -m domain.standins <part>`: say in one line of JSON where we listen, then serve until stdin closes."""

from __future__ import annotations

import json
import sys

from domain.standins import ClamdStandIn, MailStandIn, MastodonStandIn, ReceiverStandIn, StripeStandIn

PARTS = {
    "mastodon": MastodonStandIn,
    "mail": MailStandIn,
    "clamd": ClamdStandIn,
    "stripe": StripeStandIn,
    "receiver": ReceiverStandIn,
}


def main() -> int:
    """Serve. Whoever started us holds our stdin: when it goes, however it goes, so do we."""
    if len(sys.argv) != 2 or sys.argv[1] not in PARTS:  # noqa: PLR2004 - the program and one name
        sys.stderr.write(f"usage: python -m domain.standins {'|'.join(PARTS)}\n")
        return 2
    with PARTS[sys.argv[1]]() as stand_in:
        sys.stdout.write(json.dumps({"url": stand_in.url, "control": stand_in.control_url}) + "\n")
        sys.stdout.flush()
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
