"""What a run needs of its machine: devices, files, downloads, the terminal, signals, leases."""
