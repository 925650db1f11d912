"""What is to be computed: pipelines, presets, fingerprints of settings, node states, and what is left to do."""
