"""A disk that can be cut off: a file, a loop device on it, ext4 on that, mounted.

Needs root and loop devices. Whoever makes a Disk closes it; close() may be called in any state and twice.
"""

import fcntl
import mmap
import os
import shutil
import struct
import subprocess
import time

TOOLS = ["losetup", "mkfs.ext4", "mount", "umount"]
FS_IOC_SHUTDOWN = 0x8004587D    # _IOR('X', 125, __u32)
LOG_FLUSHED, NOTHING_FLUSHED = 1, 2
BUSY_S = 20


def missing():
    """Why there can be no such disk here, or None."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/dev/loop-control"):
        return "no /dev/loop-control"
    tools = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"no {', '.join(tools)}" if tools else None


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def umount_when_idle(path):
    """What a killed process had in flight holds the file system for a moment longer than the process lives."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            return run("umount", path)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class Memory:
    """A tmpfs of limited size, for the image of a disk that has less room than it says."""

    def __init__(self, path, bytes_max):
        self.path = path
        os.makedirs(path)
        run("mount", "-t", "tmpfs", "-o", f"size={bytes_max}", "none", path)

    def resize(self, bytes_max):
        run("mount", "-o", f"remount,size={bytes_max}", self.path)

    def close(self):
        if os.path.ismount(self.path):
            umount_when_idle(self.path)


class Disk:
    def __init__(self, work_dir, size, image_dir=None):
        self.path = os.path.join(work_dir, "disk")
        self.image = os.path.join(image_dir or work_dir, "disk.img")
        self.device = None
        os.makedirs(self.path)
        with open(self.image, "wb") as image:
            image.truncate(size)
        blocks = ["-b", str(mmap.PAGESIZE)] if image_dir else []
        run("mkfs.ext4", "-q", "-F", *blocks, "-J", "size=4", "-N", "4096", "-m", "0",
            "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        self.device = run("losetup", "-f", "--show", self.image)
        if image_dir:
            self.request_one_page()
        self.mount()

    def request_one_page(self):
        """A write that the image takes only the first part of counts as done in Linux's loop driver (6.18: lo_complete_rq).
        Requests of one page are taken whole or not at all, so the device tells every failure, as a real one does."""
        queue = os.path.join("/sys/block", os.path.basename(self.device), "queue", "max_sectors_kb")
        with open(queue, "w", encoding="ascii") as file:
            file.write(str(mmap.PAGESIZE // 1024))

    def mount(self):
        run("mount", self.device, self.path)

    def umount(self):
        umount_when_idle(self.path)

    def cut(self, flag):
        """From now on every read, write and sync of the file system fails, and what was not synced is gone."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(fd)

    def free_bytes(self):
        info = os.statvfs(self.path)
        return info.f_bavail * info.f_bsize

    def close(self):
        if os.path.ismount(self.path):
            self.umount()
        if self.device:
            run("losetup", "-d", self.device)
            self.device = None
        if os.path.exists(self.image):
            os.unlink(self.image)
