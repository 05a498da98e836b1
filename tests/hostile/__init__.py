"""Records, answers and files that want to stop the job: one row a case, each with its limit."""
