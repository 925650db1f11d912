"""The demo's data set of drawn images."""
