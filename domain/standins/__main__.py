"""`python -m domain.standins <part>...`: say in a line of JSON where each part listens; serve until stdin closes."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

from domain.standins import (
    BlueskyStandIn,
    ClamdStandIn,
    InstagramStandIn,
    LinkedInStandIn,
    MailStandIn,
    MastodonStandIn,
    ReceiverStandIn,
    S3StandIn,
    StripeStandIn,
)

PARTS = {
    "mastodon": MastodonStandIn,
    "bluesky": BlueskyStandIn,
    "instagram": InstagramStandIn,
    "linkedin": LinkedInStandIn,
    "mail": MailStandIn,
    "clamd": ClamdStandIn,
    "stripe": StripeStandIn,
    "receiver": ReceiverStandIn,
    "s3": S3StandIn,
}


def main() -> int:
    """Serve. Whoever started us holds our stdin: when it goes, however it goes, so do we."""
    names = sys.argv[1:]
    if not names or not set(names) <= PARTS.keys():
        sys.stderr.write(f"usage: python -m domain.standins {'|'.join(PARTS)} ...\n")
        return 2
    with ExitStack() as stack:
        for name in names:
            stand_in = stack.enter_context(PARTS[name]())
            sys.stdout.write(json.dumps({"url": stand_in.url, "control": stand_in.control_url}) + "\n")
        sys.stdout.flush()
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
