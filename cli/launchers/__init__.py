"""Launchers start worker processes and do no work themselves."""
