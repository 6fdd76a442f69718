"""Running a tool: its errors as one sentence. Imports the standard library only.

So a package that is missing or broken is said in one sentence, too.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable

from cmim.engine.quiet_libraries import quiet_warnings
from cmim.engine.sentences import (
    can_name_file,
    is_meant,
    sentence_of,
    unknown_option,
    whole_traceback,
)

# Exit status: what was asked for cannot be done; something nobody thought of.
REFUSED, UNFORESEEN = 2, 1
# As the shell counts them: 128 and the signal.
_INTERRUPTED, _NO_READER = 130, 141


def run_tool(
    main: Callable[[], int | None], reword: Callable[[str], str] = str
) -> None:
    """Run a tool; an error is one sentence on stderr, ``error: ...``.

    What the user can mend ends with status 2. Anything else ends with status 1, and the
    sentence says in which file the traceback lies. ``CMIM_TRACEBACK=1`` prints
    tracebacks. The process keeps the memory that it frees, see
    :mod:`cmim.engine.allocator`.

    Args:
        main: The tool; may return an exit status.
        reword: What is done to the sentence of an error.
    """
    quiet_warnings()
    status: int | None = None
    try:
        from cmim.engine.allocator import keep_freed_memory

        _check_words(sys.argv[1:])
        keep_freed_memory()
        status = main()
        _flush_output()
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output (head, less) has seen enough.
        _forget_output()
        status = _NO_READER
    except subprocess.CalledProcessError as error:
        # The tool that was called has said why, unless it was killed.
        status = error.returncode
        if status < 0:
            _say(f"{shlex.join(map(str, error.cmd))} was ended by signal {-status}")
            status = 128 - status
    except Exception as error:
        status = report(error, reword)
    if status:
        sys.exit(status)


def _check_words(words: list[str]) -> None:
    """Refuse names that are no UTF-8: OpenCV ends the whole process on them."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"the word {word!r} is no text in UTF-8; rename the file or folder"
            ) from None


def report(error: Exception, reword: Callable[[str], str] = str) -> int:
    """Say an error, and keep its traceback in a file where nobody foresaw it.

    Args:
        error: Any.
        reword: What is done to its sentence.

    Returns:
        The exit status.
    """
    if os.environ.get("CMIM_TRACEBACK"):
        print(whole_traceback(error), file=sys.stderr)
    said = reword(sentence_of(error))
    if can_be_mended(error):
        _say(said)
        return REFUSED
    _say(f"{said} (unforeseen; {_keep(error)})")
    return UNFORESEEN


def can_be_mended(error: Exception) -> bool:
    """Whether the sentence tells the user what to change.

    Examples:
        >>> can_be_mended(ModuleNotFoundError("No module named 'a'", name="a"))
        True
        >>> can_be_mended(OSError(28, "No space left on device"))
        True
    """
    if can_name_file(error):
        return True
    return is_meant(error) or unknown_option(error) is not None


def _keep(error: Exception) -> str:
    """Write the traceback into a file, and say where it is."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="cmim_error_", suffix=".txt", delete=False
        ) as file:
            file.write(
                f"{shlex.join(sys.argv)}\nPython {platform.python_version()}\n\n"
            )
            file.write(whole_traceback(error))
    except OSError as failed:
        return (
            f"no file could be written for its traceback, {sentence_of(failed)}: set "
            "CMIM_TRACEBACK=1 to see it"
        )
    return f"its traceback is in {file.name}"


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(f"error: {text}", file=sys.stderr, flush=True)


def _flush_output() -> None:
    """Write what stdout still holds: Python would only mention a full disk."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _forget_output()
        raise OSError(error.errno, error.strerror, "the output") from error


def _forget_output() -> None:
    """Let Python's last flush of stdout go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
