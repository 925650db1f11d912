"""Making a store: what a source of images holds, and the listing and the pipeline made from it."""
