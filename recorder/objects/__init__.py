"""Objects at another place: a folder, or a bucket of an object store; finished recordings that are stored there."""
