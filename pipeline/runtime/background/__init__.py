"""What runs beside the worker of a job: admin, progress, hot reload, the watchdog, the choice of a core."""
