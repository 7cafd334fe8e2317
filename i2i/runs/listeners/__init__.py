"""Objects that watch a run through hooks: progress display, log files, sample grids and warnings."""
