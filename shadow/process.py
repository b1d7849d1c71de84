"""What runs in the process that compares large answers: it reads a question, answers it, and ends with its parent.

A question is a function of this program and its arguments, in parts: the bodies come after what they belong to, as they
are. An answer is what the function returned, or the error in words.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import struct
import sys
from typing import BinaryIO, Final

LENGTH: Final = struct.Struct(">Q")  # before a question: how many parts it has; before a part: its bytes
NICE: Final = 5  # users' requests come first


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there is nobody to ask."""
    while len(head := questions.read(LENGTH.size)) == LENGTH.size:
        (count,) = LENGTH.unpack(head)
        question, *bodies = [questions.read(*LENGTH.unpack(questions.read(LENGTH.size))) for _ in range(count)]
        function, arguments = pickle.loads(question, buffers=bodies)  # noqa: S301  # both ends are this program
        try:
            told = True, function(*arguments)
        except Exception as error:  # whatever it is: whoever asked will want to know
            told = False, f"{type(error).__name__}: {error}"
        answer = pickle.dumps(told, pickle.HIGHEST_PROTOCOL)
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the parent, and this ends with it
    os.nice(NICE)
    gc.disable()  # nothing here leads back to itself, and there is much of it
    serve(sys.stdin.buffer, sys.stdout.buffer)
