"""taken.py PID PATH...: does what somebody would who has taken a process over: each of its threads opens
each path to read it, by a system call that is put into it (ptrace(2); x86-64): as it is while it looks at no cache, and
once more with CAP_DAC_READ_SEARCH raised, as it may. Prints for each path "PATH OUTCOME raised OUTCOME", with "opened", or
the errors, if no thread can."""

import ctypes
import errno
import os
import signal
import struct
import sys
import time

SEIZE, INTERRUPT, GETREGS, SETREGS, STEP, DETACH = 0x4206, 0x4207, 12, 13, 9, 17
AT_FDCWD, OPENAT, CLOSE, CAPSET = -100, 257, 3, 126
MAY_LOOK = 1 << 2  # CAP_DAC_READ_SEARCH
NAMES = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs".split()


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, thread, data=None):
    if libc.ptrace(request, thread, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


def syscall_instruction(pid):
    """Where the process has the instruction that calls the kernel."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            if " r-xp " in line and "/" in line:
                start, end = (int(x, 16) for x in line.split()[0].split("-"))
                mem.seek(start)
                at = mem.read(end - start).find(b"\x0f\x05")
                if at >= 0:
                    return start + at
    raise SystemExit("no system call in it")


class Thread:
    def __init__(self, pid, thread, instruction):
        self.mem, self.thread, self.instruction = f"/proc/{pid}/mem", thread, instruction
        ptrace(SEIZE, thread)
        ptrace(INTERRUPT, thread)
        self.wait()
        self.before = Registers()
        ptrace(GETREGS, thread, ctypes.byref(self.before))

    def wait(self):
        _, status = os.waitpid(self.thread, 0x40000000)  # __WALL
        if not os.WIFSTOPPED(status):
            raise SystemExit("it has ended")
        return os.WSTOPSIG(status)

    def call(self, number, *arguments):
        regs = Registers.from_buffer_copy(self.before)
        regs.rip, regs.rax, regs.orig_rax = self.instruction, number, 2**64 - 1
        for name, value in zip(("rdi", "rsi", "rdx", "r10"), arguments):
            setattr(regs, name, value % 2**64)
        ptrace(SETREGS, self.thread, ctypes.byref(regs))
        ptrace(STEP, self.thread)
        while self.wait() != signal.SIGTRAP:  # one of Go's own signals, which it has to do without
            ptrace(STEP, self.thread)
        ptrace(GETREGS, self.thread, ctypes.byref(regs))
        return ctypes.c_longlong(regs.rax).value

    def call_with(self, data, number, *arguments):
        """A system call of which arguments that are functions are given the address of data."""
        at = (self.before.rsp - 16384) // 16 * 16
        with open(self.mem, "r+b", buffering=0) as mem:
            mem.seek(at)
            former = mem.read(8192)
            mem.seek(at)
            mem.write(data)
            result = self.call(number, *(a(at) if callable(a) else a for a in arguments))
            mem.seek(at)
            mem.write(former)
        return result

    def opens(self, path):
        fd = self.call_with(path.encode() + b"\0", OPENAT, AT_FDCWD, lambda at: at, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, 0)
        if fd >= 0:
            self.call(CLOSE, fd)
        return "opened" if fd >= 0 else errno.errorcode[-fd]

    def looks(self):
        """Whether it has the capability just now."""
        with open(f"/proc/{self.thread}/status") as status:
            return any(line.startswith("CapEff:") and int(line.split()[1], 16) & MAY_LOOK for line in status)

    def set_effective(self, effective):
        # The header of version 3, and effective, permitted and inheritable of the lower and the upper half.
        data = struct.pack("=II6I", 0x20080522, 0, effective, MAY_LOOK, 0, 0, 0, 0)
        if (failed := self.call_with(data, CAPSET, lambda at: at, lambda at: at + 8)) < 0:
            raise SystemExit(f"capset: {errno.errorcode[-failed]}")

    def release(self):
        ptrace(SETREGS, self.thread, ctypes.byref(self.before))
        ptrace(DETACH, self.thread)


def told(outcomes):
    return "opened" if "opened" in outcomes else ",".join(sorted(outcomes))


def main():
    pid, paths = int(sys.argv[1]), sys.argv[2:]
    instruction = syscall_instruction(pid)
    as_is, raised = ({path: set() for path in paths} for _ in range(2))
    for name in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        thread = Thread(pid, int(name), instruction)
        while thread.looks():
            thread.release()
            time.sleep(0.01)
            thread = Thread(pid, int(name), instruction)
        for path in paths:
            as_is[path].add(thread.opens(path))
        thread.set_effective(MAY_LOOK)
        for path in paths:
            raised[path].add(thread.opens(path))
        thread.set_effective(0)
        thread.release()
    for path in paths:
        print(path, told(as_is[path]), "raised", told(raised[path]))


main()
