"""A deterministic simulation of the state protocol (DESIGN 6 and 8): one seed is one schedule.

seeds      one schedule: a world, its lives, their ends, and what must hold afterwards
world      what outlives a process: records, receivers, clocks, what is known to have happened
life       one process: the job's own parts, put together as `runtime/opening.py` does
bytewax    a model of Bytewax that runs the job's real dataflow, epoch by epoch
engine     the real delivery engine, turned by hand, over a client that asks the world
disk       which files a kill and a power cut leave
topics     a broker of two topics, for the real reader
records    what the world's users do
checks     what must be true: while it runs, and when all has come to rest
mutants    faults put into the product on purpose: each must be found

`make sim` runs schedules for an hour; ``python -m tests.simulation --seed N`` repeats one, with
its steps.
"""
