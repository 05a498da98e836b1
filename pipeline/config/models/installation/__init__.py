"""What `pipeline.yaml` may hold."""
