"""What happens on nobody's behalf: it carries these ids, which are never NULL and never those of a row."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pgqueue import Context

SYSTEM_ORGANIZATION: Final = UUID("00000000-0000-7000-8000-000000000001")
SYSTEM_USER: Final = UUID("00000000-0000-7000-8000-000000000002")
SYSTEM: Final = Context(str(SYSTEM_ORGANIZATION), str(SYSTEM_USER))
