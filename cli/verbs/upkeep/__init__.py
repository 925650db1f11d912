"""The verbs that look after a store: examine, verify, gather and clean up."""
