"""An error as one sentence. Imports the standard library only.

It also works where torch or another package cannot be imported.
"""

from __future__ import annotations

import difflib
import dis
import errno
import inspect
import linecache
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmim.optional_packages import EXTRAS

# Longer messages, of a whole printed config, say nothing more.
LONGEST = 700
_HINTS = {
    errno.EACCES: "choose a place that you may use",
    errno.EPERM: "choose a place that you may use",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.ENOENT: "check the path",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "a file is in the place of a folder: name another folder",
    errno.EEXIST: "a file is in its place: name another",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOSPC: "free space on that disk, or choose a folder on another one",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), or choose another disk",
    errno.EDQUOT: "free space, or choose a folder on another disk",
    errno.EMFILE: "lower num_workers, or raise the limit: ulimit -n",
}
_MEMORY = (
    "memory is full ({}): lower train_dataloader.batch_size, the image size or "
    "num_workers"
)
# What libraries say of things that a user can change, and what to change.
_REWORDED = (
    (r"(CUDA out of memory)", _MEMORY),
    (r"can't allocate memory: (you tried to allocate \d+ bytes)", _MEMORY),
    (r"(Unable to allocate [^\n]*?) for an array", _MEMORY),
    (r"Insufficient memory\) (Failed to allocate \d+ bytes)", _MEMORY),
    (
        r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\) (?:exited|is killed)",
        "a data loading process ({}) was ended from outside, most often because "
        "memory is full: lower num_workers or batch_size of the data loaders",
    ),
    (
        r"(unable to (?:open|mmap|write|resize)[^\n]*shared memory|/dev/shm)",
        "shared memory is full ({}): lower num_workers of the data loaders, or "
        "enlarge /dev/shm",
    ),
    (
        r"(need at least one array to concatenate)",
        "the data set has no pictures ({}): check its split, its limit and data_root",
    ),
    (
        r"(EADDRINUSE|[Aa]ddress already in use)",
        "another run listens on the same port ({}): give torchrun --master-port",
    ),
)
_WORKER = "Traceback (most recent call last):\n"
_TYPE = re.compile(r"^([A-Za-z_][\w.]*)(?:: (.*))?$", re.DOTALL)


def sentence_of(error: BaseException) -> str:
    """What an error says, on one line, with what to do where that is known.

    Args:
        error: Any exception; notes (``__notes__``) say where it belongs to, as
            :mod:`cmim.engine.config_place` adds them.

    Examples:
        >>> sentence_of(ValueError("two\\n  lines"))
        'two lines'
        >>> sentence_of(FileNotFoundError(2, "No such file or directory", "a.txt"))
        "'a.txt': no such file or directory; check the path"
        >>> sentence_of(ModuleNotFoundError("No module named 'nncf'", name="nncf"))
        "package 'nncf' is not installed: pip install 'cmim[int8]'"
    """
    text = " ".join((_known(error) or _told(error)).split())
    notes = [note for note in getattr(error, "__notes__", ()) if isinstance(note, str)]
    text = ": ".join([*reversed(notes), text])
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _known(error: BaseException) -> str | None:
    """Errors that Python or a library words for programmers, for users."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing_package(error.name)
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        return _failed_file(error)
    if isinstance(error, MemoryError) and not str(error):
        return _MEMORY.format("MemoryError")
    text = str(error)
    for pattern, wording in _REWORDED:
        found = re.search(pattern, text)
        if found:
            return wording.format(found[1].strip())
    return unknown_option(error)


def unknown_option(error: BaseException) -> str | None:
    """What a component accepts, if an error says that it does not know an option."""
    found = re.search(
        r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error)
    )
    registry = getattr(sys.modules.get("mmseg.registry"), "MODELS", None)
    component = registry.get(found[1]) if found and registry else None
    return accepted_options(component, found[2]) if found and component else None


def accepted_options(component: Callable[..., Any], option: str) -> str:
    """That a component has no such option, and those that it has.

    Examples:
        >>> accepted_options(len, "object")
        "len has no option 'object' (did you mean 'obj'?); it accepts obj"
    """
    accepted = [n for n in inspect.signature(component).parameters if n != "kwargs"]
    close = difflib.get_close_matches(option, accepted, n=1)
    meant = f" (did you mean '{close[0]}'?)" if close else ""
    return (
        f"{component.__name__} has no option '{option}'{meant}; it accepts "
        f"{', '.join(accepted)}"
    )


def _told(error: BaseException) -> str:
    """The error's own words; its kind in front where Python chose the words."""
    name, text = type(error).__name__, str(error)
    if "Original Traceback" in text:
        name, text = worker_error(text)
    elif is_meant(error):
        # Of a KeyError the text is the representation of its message.
        text = str(error.args[0]) if error.args else ""
        return text or name
    else:
        return f"{name}: {text}" if text else name
    return text or name


def worker_error(text: str) -> tuple[str, str]:
    """Kind and words of an error that a data loader's process passes on as text.

    Args:
        text: With the traceback of that process.

    Examples:
        >>> worker_error("Caught\\nOriginal Traceback (most recent call last):\\n"
        ...              '  File "a.py", line 1\\n    f()\\nx.DataError: no such file')
        ('DataError', 'no such file')
    """
    last = text.rstrip().rsplit(_WORKER, 1)[-1].splitlines()
    said = [k for k, line in enumerate(last) if _TYPE.match(line)]
    lines = last[said[0] :] if said and _WORKER in text else last[-1:]
    found = _TYPE.match("\n".join(lines))
    if found is None:
        return "Error", " ".join(lines)
    return found[1].rsplit(".", 1)[-1], found[2] or ""


def _missing_package(name: str) -> str:
    # mmengine's words for a base config that is named as if it were installed.
    name = name.removeprefix("Cannot determine installed path for ")
    top = name.split(".")[0]
    if top in ("cmim", "tasks", "configs"):
        return f"module '{name}' does not exist; check its name in the config"
    extra = EXTRAS.get(top)
    wanted = f"'cmim[{extra}]'" if extra else "cmim, or make setup"
    return f"package '{top}' is not installed: pip install {wanted}"


def _failed_file(error: OSError) -> str:
    said = str(error.strerror)
    said = said[:1].lower() + said[1:]
    hint = _HINTS.get(error.errno or 0)
    files = [n for n in (error.filename, error.filename2) if n is not None]
    names = [repr(str(n)) for n in files or _files_in_hand(error)]
    said = f"{' and '.join(names) or 'a file or the output'}: {said}"
    return f"{said}; {hint}" if hint else said


def _files_in_hand(error: OSError) -> list[Any]:
    """The file that was written or read; a full disk is said without its name."""
    names = ("path", "file", "filename", "target", "out", "folder", "picture")
    found: list[Any] = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        values = [frame.f_locals.get(name) for name in names]
        found = [v for v in values if isinstance(v, (str, Path))][:1] or found
    return found


def is_meant(error: BaseException) -> bool:
    """Whether an error was raised for the user: by a ``raise`` outside of libraries.

    What Python or a library raises is a surprise, whatever its type: a ``ValueError``
    of an unpacking is a defect, one that a component raises is an answer.

    Examples:
        >>> is_meant(ValueError("not raised at all"))
        True
        >>> try:
        ...     a, b = []
        ... except ValueError as error:
        ...     is_meant(error)
        False
    """
    if type(error).__module__.split(".")[0] in ("cmim", "tasks"):
        return True
    text = str(error)
    if "Original Traceback" in text:
        return _worker_meant(text)
    trace = error.__traceback__
    if trace is None:
        return isinstance(error, Exception)
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    # An assert raises, too, for programmers.
    raised = code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    raised = raised and not isinstance(error, AssertionError)
    return raised and not _is_library(code.co_filename)


def _worker_meant(text: str) -> bool:
    """The same of a data loader's process, of which there is text only."""
    frames = re.findall(r'^  File "([^"]+)", line (\d+)', text, re.MULTILINE)
    if not frames:
        return True
    path, number = frames[-1]
    line = linecache.getline(path, int(number)).strip()
    return not _is_library(path) and line.startswith("raise")


def _is_library(path: str) -> bool:
    paths = sysconfig.get_paths()
    parts = path.replace("\\", "/").split("/")
    return (
        "site-packages" in parts
        or "dist-packages" in parts
        or path.startswith((paths["stdlib"], "<frozen"))
    )


def whole_traceback(error: BaseException) -> str:
    """What Python would have printed."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def can_name_file(error: BaseException) -> bool:
    """Whether the sentence of an error names a file, a package or memory by itself."""
    if isinstance(error, (ModuleNotFoundError, MemoryError)):
        return True
    return isinstance(error, OSError) and error.errno is not None


def is_library_module(name: str) -> bool:
    """Whether a module belongs to Python or to an installed package.

    Examples:
        >>> is_library_module("torch.optim"), is_library_module("cmim.models")
        (True, False)
    """
    top = name.split(".")[0]
    if top in ("cmim", "tasks"):
        return False
    path = getattr(sys.modules.get(top), "__file__", None)
    return top in sys.stdlib_module_names or (path is not None and _is_library(path))
