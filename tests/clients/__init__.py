"""Clients that no one here wrote, against the shipped binary: what they send is what the query API answers."""
