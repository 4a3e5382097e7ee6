"""A filter of system calls, for a process that has nothing left to do but to compute and to write to a pipe.

The numbers are those of Linux's headers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h;
the programme is classic BPF, as in linux/filter.h, linux/seccomp.h and linux/audit.h.
"""

import ctypes
import errno
import os
import struct
from typing import Final, NamedTuple

PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_SECCOMP: Final = 22
PR_GET_SECCOMP: Final = 21
SECCOMP_MODE_FILTER: Final = 2

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
ERRNO: Final = 0x00050000
LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
RETURN: Final = 0x06  # BPF_RET | BPF_K
NUMBER: Final = 0  # offsets in struct seccomp_data, little-endian
ARCHITECTURE: Final = 4
FIRST_ARGUMENT: Final = 16
THIRD_ARGUMENT: Final = 32
CLONE_THREAD: Final = 0x10000
X32: Final = 0x40000000
"""Numbers from here on are x86_64's second table."""


class Machine(NamedTuple):
    """Numbers of one architecture."""

    audit: int
    clone: int
    clone3: int
    tgkill: int
    prlimit64: int
    denied: tuple[int, ...]


# Of both: setrlimit, fchmod, fchown, fsetxattr, socket, socketpair, bind, listen, accept, connect, execve, execveat,
# ptrace, kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_open, pidfd_getfd, pidfd_send_signal,
# process_vm_readv, process_vm_writev, kcmp, openat, openat2, open_by_handle_at, memfd_create, mkdirat, mknodat,
# unlinkat, renameat, renameat2, linkat, symlinkat, fchmodat, fchmodat2, fchownat, utimensat, truncate, setxattr,
# lsetxattr, mount, umount2, unshare, setns, bpf, perf_event_open, userfaultfd, io_uring_setup, io_uring_enter,
# io_uring_register, keyctl, add_key, request_key, setpriority, sched_setaffinity, sendmmsg, mq_open, shmget, semget,
# msgget; of x86_64 also open, creat, fork, vfork, mkdir, rmdir, unlink, rename, link, symlink, chmod, chown, lchown,
# mknod, utime, utimes
MACHINES: Final = {
    "x86_64": Machine(
        0xC000003E, 56, 435, 234, 302,
        (160, 91, 93, 190, 41, 53, 49, 50, 43, 42, 59, 322, 101, 62, 200, 129, 297, 434, 438, 424, 310, 311, 312,
         257, 437, 304, 319, 258, 259, 263, 264, 316, 265, 266, 268, 452, 260, 280, 76, 188, 189, 165, 166, 272, 308,
         321, 298, 323, 425, 426, 427, 250, 248, 249, 141, 203, 307, 240, 29, 64, 68, 2, 85, 57, 58, 83, 84, 87, 82,
         86, 88, 90, 92, 94, 133, 132, 235),
    ),
    "aarch64": Machine(
        0xC00000B7, 220, 435, 131, 261,
        (164, 52, 55, 7, 198, 199, 200, 201, 202, 203, 221, 281, 117, 129, 130, 138, 240, 434, 438, 424, 270, 271,
         272, 56, 437, 265, 279, 34, 33, 35, 38, 276, 37, 36, 53, 452, 54, 88, 45, 5, 6, 40, 39, 97, 268, 280, 241,
         282, 425, 426, 427, 219, 217, 218, 140, 122, 269, 180, 194, 190, 186),
    ),
}  # fmt: skip


def refuse_calls() -> bool:
    """Refuse this process all that `MACHINES` lists, from now on; return whether the kernel does so.

    Nothing can be opened any more, not even to read; a new thread may be made, a process may not.
    """
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    program = programme(machine, os.getpid())
    buffer = ctypes.create_string_buffer(program, len(program))
    head = _Programme(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(head), 0, 0) == 0)


def available() -> bool:
    """Tell whether `refuse_calls` can do what it says here."""
    if os.uname().machine not in MACHINES:
        return False
    return bool(ctypes.CDLL(None).prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)


class _Programme(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def programme(machine: Machine, own: int) -> bytes:
    """Return the filter: `own` is the number of the process, which may signal itself (`abort` does)."""
    denied, unknown = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, machine.audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL),
        (EQUAL, 0, 1, machine.clone3),  # glibc then takes clone
        (RETURN, 0, 0, unknown),
        (EQUAL, 0, 4, machine.clone),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (ANY_BIT, 0, 1, CLONE_THREAD),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, denied),
        (EQUAL, 0, 4, machine.tgkill),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (EQUAL, 0, 1, own),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, denied),
        (EQUAL, 0, 6, machine.prlimit64),  # to ask is allowed, to raise is not
        (LOAD, 0, 0, THIRD_ARGUMENT),
        (EQUAL, 0, 3, 0),
        (LOAD, 0, 0, THIRD_ARGUMENT + 4),
        (EQUAL, 0, 1, 0),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, denied),
    ]
    for number in machine.denied:
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, denied)]
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
