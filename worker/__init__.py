"""The pipeline: a complete study becomes a draft, a draft becomes deliveries."""
