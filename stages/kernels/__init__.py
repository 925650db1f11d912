"""Pure computation: arrays in, arrays out. No file, no settings, no network."""
