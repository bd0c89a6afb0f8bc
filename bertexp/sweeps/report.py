def write_report(summary, folder, shipped=None):
    return []
