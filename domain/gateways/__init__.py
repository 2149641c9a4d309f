"""Everything outside: networks, mail, and the sealing of credentials. Secrets are handled only here."""
