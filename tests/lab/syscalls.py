# SPDX-License-Identifier: MIT
"""What processes did in a span of time, by their system calls: traced with strace, and judged.

    with syscalls.Trace([daemon.pid, fsd.pid], "/tmp/x/trace") as trace:
        ...
    for call in syscalls.window(trace.calls(), control_socket):
        reason = syscalls.sin(call, control_socket)

Judged by what is allowed, not by what is known to be bad: a call that nobody thought of is one to
think about. strace's option -yy says of each descriptor what it is.
"""

import re
import shutil
import signal
import subprocess

_LINE = re.compile(r"(\d+)\s+(\d+\.\d+) (?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_NO_CALL = re.compile(r"\d+\s+\d+\.\d+ (?:---|\+\+\+) ")
_DESCRIPTOR = re.compile(r"\d+<(.*?)>(?:, |\)| <unfinished|$)")

# Neither wait for a disk nor change one, whatever their arguments.
_HARMLESS = {
    "futex", "epoll_wait", "epoll_pwait", "epoll_ctl", "poll", "ppoll", "restart_syscall",
    "clock_nanosleep", "clock_gettime", "gettimeofday", "getpid", "gettid", "getuid", "geteuid",
    "getgid", "getegid", "sched_yield",
    "accept4", "close", "shutdown", "recvfrom", "recvmsg", "getsockopt", "setsockopt", "socket",
    "timerfd_settime", "getrandom", "brk", "munmap", "mprotect", "madvise", "rt_sigprocmask",
    "rt_sigaction", "clone3", "set_robust_list", "rseq", "exit",
}
# How holdfast-fsd sees that a filesystem is frozen: it changes nothing, and one thread waits in it.
_NOBODY = '".holdfast-no-such-name"'
_WCHAN = re.compile(r'"/proc/self/task/\d+/wchan"')
# An inotify event of mask IN_DELETE: qemu-ga has thawed.
_THAW_SEEN = re.compile(r'\\0\\2\\0\\0.*qga\.state\.isfrozen')
# What holdfastd asks holdfast-fsd for when the guest agent begins to freeze, and the answer.
_AWAIT_FREEZE = re.compile(r'"\\1\\0\\0\\0\\[06]\\0\\0\\0\\0\\0\\0\\0')
_IN_MEMORY = ("anon_inode:inotify", "anon_inode:[eventfd]", "anon_inode:[timerfd]", "anon_inode:[signalfd]", "pipe:")
_SENDS = {"write", "sendto", "sendmsg"}


def missing():
    return None if shutil.which("strace") else "'strace' is not installed"


class Call:
    """One line of the trace: a call as it begins, or (resumed) the end of a longer one."""

    def __init__(self, line):
        found = _LINE.match(line)
        if not found:
            raise ValueError(f"not understood: {line}")
        self.text = line
        self.pid, self.time = int(found.group(1)), float(found.group(2))
        self.resumed = found.group(3) is not None
        self.name = found.group(3) or found.group(4)
        self.rest = found.group(5)

    @property
    def target(self):
        """What its first argument's descriptor is; "" if it has none."""
        found = _DESCRIPTOR.match(self.rest)
        return found.group(1) if found else ""


class Trace:
    """Traces processes, with all their threads, for as long as the context lasts."""

    def __init__(self, pids, path):
        self._path = path
        argv = ["strace", "-f", "-yy", "-s", "200", "--absolute-timestamps=unix,precision:us",
                "-o", path]
        for pid in pids:
            argv += ["-p", str(pid)]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        attached = 0
        while attached < len(pids):
            line = self._process.stderr.readline().decode()
            if not line:
                raise RuntimeError("strace ended by itself")
            if " attached" not in line:
                raise RuntimeError(f"strace: {line}")
            attached += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Detaches; the processes go on."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.communicate(timeout=30)

    def calls(self):
        self.stop()
        with open(self._path, encoding="utf-8", errors="replace") as file:
            # Signals ("---") and the ends of threads ("+++") are no calls.
            return [Call(line) for line in file if not _NO_CALL.match(line)]


def window(calls, control_socket):
    """Those between the answer to `freeze` on the control socket and the coming of `thaw` there, or the
    guest agent's thaw if that was seen before it."""
    begin = end = None
    for number, call in enumerate(calls):
        if call.name == "sendto" and control_socket in call.target:
            if begin is None and '"holdfast/1 0 ok ' in call.text:
                begin = number
        elif begin is None or end is not None:
            continue
        elif (call.name == "recvfrom" and '"holdfast/1 thaw' in call.text) or \
                (call.name == "read" and _THAW_SEEN.search(call.text)):
            end = number
    if begin is None or end is None or end <= begin:
        raise ValueError("the trace shows no window")
    return calls[begin + 1:end]


def sin(call, control_socket, notify_socket="/nowhere", fs_socket="/nowhere"):
    """Why this call must not be made while filesystems are frozen; "" if it may."""
    if call.name in _HARMLESS:
        return ""
    if call.name == "unlinkat":
        return "" if _NOBODY in call.text or (call.resumed and "ENOENT" in call.text) else "removes"
    if call.resumed:
        # Judged when it began.
        judged = ("read", "connect", "fcntl", "mmap", "openat", *_SENDS)
        return "" if call.name in judged else f"calls {call.name}, whose end this is"
    if call.name == "read":
        from_memory = call.target.startswith((*_IN_MEMORY, "/proc/")) or "UNIX-" in call.target
        return "" if from_memory else f"reads from '{call.target}'"
    if call.name in _SENDS:
        if call.target.startswith(_IN_MEMORY):
            return ""
        if call.target.startswith("UNIX-STREAM") and f'"{control_socket}"' in call.target:
            return ""
        if call.target.startswith("UNIX") and _AWAIT_FREEZE.search(call.text):
            return ""
        if call.name == "sendmsg" and f'sun_path="{notify_socket}"' in call.text:
            return "" if "WATCHDOG=1" in call.text else "tells the service manager"
        return f"sends to '{call.target}'"
    if call.name == "connect":
        return "" if f'sun_path="{fs_socket}"' in call.text else "connects"
    if call.name in ("open", "openat"):
        return "" if _WCHAN.search(call.text) else f"calls {call.name}"
    if call.name == "mmap":
        return "" if "MAP_ANONYMOUS" in call.rest else "maps a file"
    if call.name == "fcntl":
        return "" if re.search(r"F_(GETFL|SETFL|GETFD|SETFD|DUPFD_CLOEXEC)", call.rest) else "fcntl"
    return f"calls {call.name}"


def major_faults(pid):
    """Pages of this process that had to be read from a disk, since its beginning."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[9])
