"""Readers of parcel files, one per format. They run in a confined child process (`worker`)."""
