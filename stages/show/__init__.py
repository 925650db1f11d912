"""What people look at: overlays of masks on images, and the report."""
