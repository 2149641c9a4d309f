"""Stand-ins for the systems outside: real servers on loopback, with switches for everything that goes wrong.

Tests start them in their own process, the demo as processes of their own (``python -m domain.standins mastodon``).
"""

from domain.standins.bluesky import BlueskyStandIn
from domain.standins.clamd import ClamdStandIn
from domain.standins.instagram import InstagramStandIn
from domain.standins.linkedin import LinkedInStandIn
from domain.standins.mail import MailStandIn
from domain.standins.mastodon import MastodonStandIn
from domain.standins.receiver import ReceiverStandIn
from domain.standins.s3 import S3StandIn
from domain.standins.stripe import StripeStandIn

__all__ = [
    "BlueskyStandIn",
    "ClamdStandIn",
    "InstagramStandIn",
    "LinkedInStandIn",
    "MailStandIn",
    "MastodonStandIn",
    "ReceiverStandIn",
    "S3StandIn",
    "StripeStandIn",
]
