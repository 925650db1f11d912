"""Exchange with other programs, in their formats."""
