"""A process of its own that calls through a breaker: ``python -m tests.guards.prober URL fail|probe|hold``."""

from __future__ import annotations

import sys

from pgqueue import Breakers, CircuitOpen, Settings


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(url: str, what: str) -> None:
    breakers = Breakers(Settings(environment={}, database_url=url), fail_max=3, reset_timeout="30s")
    breaker = breakers.of("stripe", "api")
    if what == "fail":
        try:
            with breaker.calling():
                raise ConnectionError("no answer")  # noqa: TRY301 - it is what the test is about
        except ConnectionError:
            say("failed")
    else:
        # what this process has not heard of yet it would let through
        while breaker.state == "closed":
            continue
        try:
            with breaker.calling():
                say("called")
                if what == "hold":
                    sys.stdin.readline()
        except CircuitOpen:
            say("refused")
    breakers.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
