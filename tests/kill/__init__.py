"""Rounds of kill -9 and restart under load on one data directory, judged by the acked-set checker."""
