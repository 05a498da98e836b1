"""What `hookline` is on the path of a page's script: the forge starts the command, and this stands in for it.

    python -IS tests/kit/programs/shim.py SOCKET WORDS...

SOCKET is the descriptor of the forge's requests, which is inherited. Imports nothing of the project: it is to
start fast.
"""

import array
import json
import os
import signal
import socket
import sys


def main() -> None:
    reads, writes = os.pipe()
    job = {"argv": sys.argv[2:], "env": dict(os.environ), "cwd": os.getcwd()}
    files = array.array("i", [0, 1, 2, writes])
    with socket.socket(fileno=int(sys.argv[1])) as forge:
        forge.sendmsg([json.dumps(job).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        forge.detach()
    os.close(writes)
    with open(reads) as told:
        child = json.loads(told.readline())["pid"]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: os.kill(child, number))
        for file in range(3):
            os.close(file)  # a pipe ends when the command has closed it
        code = json.loads(told.readline())["code"]
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main()
