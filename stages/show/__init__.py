"""What a person looks at: overlays of masks on images, and the report."""
